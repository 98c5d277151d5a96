"""Starting a Ray on this machine or joining a cluster: signals, addresses, versions."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import ray_constants
from ray.exceptions import RayError

from services.common.errors import Unavailable

OBJECT_STORE_BYTES = 256 * 2**20
"""Shared memory of a local Ray: it holds data sets and nothing else."""


def connect(address: str | None, cpus: int | None = None) -> None:
    """Start a Ray of `cpus` CPUs, of all there are if None, or join the one at `address`.

    Raises
    ------
    Unavailable
        It does not answer, or is of another version of Ray or Python.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of a later default
    local: dict[str, Any] = {
        "num_cpus": cpus, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False,
    }  # fmt: skip
    try:
        if address and (host_port := re.fullmatch(r"(.+):([0-9]{1,5})", address)):
            # Ray itself would try for more than a minute, and log all of it.
            socket.create_connection((host_port[1], int(host_port[2])), timeout=5.0).close()
        # A node of address 127.0.0.1 listens there alone; Ray replaces that address by an outer one where its
        # clusters are enabled, which a Ray of our own needs not.
        reachable = _replaced(
            ray_constants, "ENABLE_RAY_CLUSTER", bool(address) and ray_constants.ENABLE_RAY_CLUSTER
        )
        with _signals_later(), reachable:
            ray.init(
                address=address or "local",
                log_to_driver=False,  # a terminal may show progress: worker output belongs in Ray's logs
                logging_level=logging.ERROR,
                **({} if address else local),
            )
    except (RayError, RuntimeError, ConnectionError, ValueError, OSError) as error:
        what = f"join Ray at {address}" if address else "start Ray on this machine"
        why = _mismatch(str(error)) or str(error)
        if "connect to Ray" in why and "RAY_AUTH_MODE" not in os.environ:  # all that Ray says of a token
            why += "; if the cluster wants a token, set RAY_AUTH_MODE=token and have it in ~/.ray/auth_token"
        raise Unavailable(f"cannot {what}: {why}") from error
    # A lost worker is our business, not a line on stdout: no option of Ray's says so.
    ray._private.worker._worker_logs_enabled = False


def _mismatch(text: str) -> str:
    """Say in one line what Ray says in six of versions that differ; nothing of other errors."""
    found = re.findall(r"(?:Ray|Python): (\S+)", text) if "ersion mismatch" in text else []
    if len(found) != 4:
        return ""
    ray_there, python_there, ray_here, python_here = found
    return (
        f"the cluster runs Ray {ray_there} on Python {python_there}, this process Ray {ray_here} "
        f"on Python {python_here}; they must be the same"
    )


@contextmanager
def _signals_later() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back meanwhile: a Ray that is half started leaves processes behind."""
    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in numbers}
    if before[signal.SIGTERM] is signal.SIG_DFL:
        before[signal.SIGTERM] = _exit  # the default would leave processes of Ray's behind
    try:
        # Ray's own handler would end this process within `ray.init`.
        with _replaced(ray._private.utils, "set_sigterm_handler", lambda handler: None):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for sign in came:
            signal.raise_signal(sign)


@contextmanager
def _replaced(module: Any, name: str, value: object) -> Iterator[None]:
    """Give `module` another attribute meanwhile."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _exit(number: int, frame: object) -> None:
    sys.exit(128 + number)
