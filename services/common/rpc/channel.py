"""Client side of every call: one channel factory, deadlines, typed errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from services.common.errors import Cancelled, DeadlineExceeded, InvalidRequest, Unavailable, violation
from services.common.rpc.limits import KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS, MESSAGE_OPTIONS
from services.common.rpc.status import from_rpc_error

T = TypeVar("T")

STREAM_TIMEOUT_S = 3600.0
"""Longest single stream; connections are renewed more often than that."""

STREAM_ATTEMPTS = 4
"""Streams opened in a row without a response before giving up."""

STEADY_S = 10.0
"""A stream that held so long was no failed attempt."""

_BREAKS = (Unavailable, Cancelled, DeadlineExceeded)

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


def open_channel(address: str) -> grpc.Channel:
    """Open the one kind of channel there is: every server of the name in turn, retries while unavailable.

    Parameters
    ----------
    address : str
        ``host:port``; a name with several servers is balanced over all of them.

    Raises
    ------
    InvalidRequest
        `address` is not of that form.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address:
        raise InvalidRequest.of(violation("address", address, "host:port, such as 127.0.0.1:50051"))
    options = (
        *MESSAGE_OPTIONS,
        ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
        ("grpc.keepalive_time_ms", KEEPALIVE_TIME_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    )
    return grpc.insecure_channel(f"dns:///{address}", options)


class Connection:
    """A channel to one service; each call has a deadline and raises what the core would.

    Parameters
    ----------
    address : str
        ``host:port`` of the service.
    timeout_s : float
        Deadline of a unary call.
    pause_s : float
        Between a stream that broke and the next attempt.
    """

    def __init__(self, address: str, timeout_s: float, pause_s: float = 1.0) -> None:
        self.address = address
        self.channel = open_channel(address)
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._closed = False

    def call(self, method: grpc.UnaryUnaryMultiCallable[Any, T], request: Any) -> T:
        """Make a unary call."""
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from None

    def stream(
        self, method: grpc.UnaryStreamMultiCallable[Any, T], next_request: Callable[[], Any]
    ) -> Iterator[T]:
        """Yield the responses of a server stream, opened again where it breaks off.

        Parameters
        ----------
        method : callable
        next_request : callable
            Makes the request of the first and of each later stream, which goes on behind what was seen.

        Raises
        ------
        ImcnasError
            What the service raised; what broke the stream if it breaks too often.
        """
        breaks = 0
        while True:
            begun = time.monotonic()
            call = method(next_request(), timeout=STREAM_TIMEOUT_S)
            try:
                for response in call:
                    breaks = 0
                    yield response
                return
            except grpc.RpcError as error:
                broken = from_rpc_error(error, self.address)
            finally:
                call.cancel()  # the reader may have left
            # A stream that held for a while was ended by the renewal of its connection.
            breaks = 1 if time.monotonic() - begun > STEADY_S else breaks + 1
            if self._closed or breaks == STREAM_ATTEMPTS or not isinstance(broken, _BREAKS):
                raise broken
            time.sleep(self._pause_s)

    def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._closed = True
        self.channel.close()
