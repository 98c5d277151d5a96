"""Limits that servers and clients must agree on."""

from __future__ import annotations

import os

MAX_MESSAGE_BYTES = 16 * 2**20
"""Largest message sent or received; gRPC's own default is 4 MiB."""

MESSAGE_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
)

LARGE_BYTES, LARGE_AT_ONCE = 2**20, max(2, os.cpu_count() or 1)
"""Requests of more bytes are read and served so many at a time: one of 16 MiB may take 500 MB once read."""

KEEPALIVE_TIME_MS = 30_000
"""A client's pause between pings; the server allows one each 20 s, so it can never see too many."""

KEEPALIVE_TIMEOUT_MS = 10_000
SERVER_MIN_PING_INTERVAL_MS = 20_000
SERVER_PING_STRIKES = 2

MAX_CONNECTION_AGE_MS = 300_000
"""After this age a connection is renewed, so that new servers get their share of clients."""

MAX_CONNECTION_AGE_GRACE_MS = 30_000
"""Then streams end: whoever streams for minutes resumes."""

DEFAULT_DEADLINE_S = 60.0
"""Longest unary call of a client that sets no deadline."""
