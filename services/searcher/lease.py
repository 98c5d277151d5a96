"""Who runs a study: one process at a time, known by a lease that it renews while it lives.

A lease ends when its time is up, and at once when its process is on this host and gone: what was killed can
be resumed without a wait.
"""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

LEASE_S = 30.0
"""How long a lease outlives its last renewal: a process on another host is waited for so long."""

RENEW_S = 5.0
"""How often a running search renews its lease."""


def new_owner() -> str:
    """Name this process as an owner: host, process id, and a part that no other owner has."""
    return f"{_here()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def is_live(owner: str | None, lease_until: float | None, now: float) -> bool:
    """Whether `owner` still runs its study, its lease ending at `lease_until`; both times by one clock."""
    if owner is None or lease_until is None or lease_until <= now:
        return False
    host, pid, _ = owner.rsplit(":", 2)
    return host != _here() or _process_exists(int(pid))


def describe(owner: str) -> str:
    """Name an owner for people."""
    host, pid, _ = owner.rsplit(":", 2)
    return f"process {pid} on {host.partition('/')[0]}"


def _here() -> str:
    """Name where process ids mean ours: the host, its boot (names of hosts repeat), and the container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        return f"{socket.gethostname()}/{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # not Linux
        return socket.gethostname()


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True
