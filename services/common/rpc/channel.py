"""Client side of every call: one channel factory, deadlines, typed errors."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc
import grpc.aio

from services.common.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    Unavailable,
    violation,
)
from services.common.rpc.limits import (
    KEEPALIVE_TIME_MS,
    KEEPALIVE_TIMEOUT_MS,
    MAX_MESSAGE_BYTES,
    MESSAGE_OPTIONS,
)
from services.common.rpc.status import from_rpc_error

T = TypeVar("T")

STREAM_TIMEOUT_S = 3600.0
"""Longest single stream; connections are renewed more often than that."""

ABSENCE_S = 60.0
"""How long a stream's service may be away or refuse: it may restart, a trainer with its workers."""

STEADY_S = 10.0
"""A stream that held so long was no failed attempt."""

CALLS_AT_ONCE = 64
"""Unary calls of one asyncio client that run at once: a quarter of what a service takes by default."""

MAX_RECONNECT_MS = 2000
"""Longest pause between two connection attempts; gRPC's own grows to minutes, beyond any restart."""

_BREAKS = (Unavailable, Cancelled, DeadlineExceeded, Overloaded)

# Unary methods alone: a stream that gRPC itself retries before its first response may hang when the server
# comes back meanwhile, and `Connection.stream` opens streams again anyway.
_RETRIED = {
    "imcnas.v1.HwOracleService": (
        "Evaluate",
        "BatchEvaluate",
        "EvaluateCandidates",
        "Validate",
        "ListChips",
        "GetChip",
        "GetServerInfo",
    ),
    "imcnas.v1.SearcherService": (
        "GetDataset",
        "CreateSearch",
        "GetSearch",
        "CancelSearch",
        "ListSearches",
        "ListTrials",
        "GetTrial",
        "ResumeSearch",
        "DeleteSearch",
        "GetFront",
    ),
    "imcnas.v1.TrainerService": ("CancelEvaluation", "GetDataset", "GetServerInfo"),
}

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method}
                for service, methods in _RETRIED.items()
                for method in methods
            ],
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
    return grpc.insecure_channel(_target(address), _OPTIONS)


def _target(address: str) -> str:
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or "/" in address or (":" in bare) != (host == f"[{bare}]"):
        raise InvalidRequest.of(
            violation("address", address, "host:port, such as 127.0.0.1:50051 or [::1]:50051")
        )
    if not port.isdecimal() or not 1 <= int(port[:6]) <= 65535:
        raise InvalidRequest.of(violation("address", address, "host:port, with a port from 1 to 65535"))
    return f"dns:///{address}"


_OPTIONS = (
    *MESSAGE_OPTIONS,
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.keepalive_time_ms", KEEPALIVE_TIME_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.max_reconnect_backoff_ms", MAX_RECONNECT_MS),
    ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES),  # a larger request would never be sent again
    ("grpc.enable_http_proxy", 0),  # services are reached directly, whatever the environment says
)


class AsyncConnection:
    """A `Connection` for asyncio, of unary calls and of streams that are not opened again.

    It belongs to the loop that runs when it is made. Of many calls begun at once some wait for others to end,
    so that no client floods a service.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        self.address = address
        self.channel = grpc.aio.insecure_channel(_target(address), _OPTIONS)
        self._timeout_s = timeout_s
        self._closed = False
        self._turn = asyncio.Semaphore(CALLS_AT_ONCE)

    async def call(self, method: Callable[..., Awaitable[T]], request: Any) -> T:
        """Make a unary call; Unavailable if the connection is closed, Cancelled if that happens meanwhile."""
        with self._named_errors():
            async with self._turn:
                self._check()
                return await method(request, timeout=self._timeout_s)

    async def stream(
        self, method: Callable[..., Any], requests: AsyncIterator[Any]
    ) -> AsyncGenerator[Any, None]:
        """Yield the responses to requests, and raise what these raise; the stream is not opened again."""
        self._check()
        failed: list[BaseException] = []

        async def sent() -> AsyncIterator[Any]:
            try:
                async for request in requests:
                    yield request
            except Exception as error:  # gRPC would only say that iterating failed
                failed.append(error)
                call.cancel()

        call = method(sent(), timeout=STREAM_TIMEOUT_S)
        try:
            with self._named_errors(failed):
                async for response in call:
                    yield response
        finally:
            call.cancel()  # the reader may have left

    @contextmanager
    def _named_errors(self, failed: Sequence[BaseException] = ()) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise failed[0] if failed else from_rpc_error(error, self.address) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # nobody cancelled the task: the call was, by closing the connection or by its own requests
            raise failed[0] if failed else Cancelled(f"the call to {self.address} was cancelled") from None
        if failed:
            raise failed[0]

    async def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._closed = True
        await self.channel.close()

    def _check(self) -> None:
        if self._closed:
            raise Unavailable(f"the client of {self.address} is closed")


class Connection:
    """A channel to one service; each call has a deadline and raises what the core would.

    Make the service's stub once, while the channel is open: grpcio ends the process where a stub is made of
    a channel that is closed.

    Parameters
    ----------
    address : str
        ``host:port`` of the service.
    timeout_s : float
        Deadline of a unary call.
    pause_s : float
        Between a stream that broke and the next attempt.
    absence_s : float
        How long a stream is opened again in vain before giving up.
    """

    def __init__(
        self, address: str, timeout_s: float, pause_s: float = 1.0, absence_s: float = ABSENCE_S
    ) -> None:
        self.address = address
        self.channel = open_channel(address)
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._absence_s = absence_s
        self._closed = False

    def call(self, method: grpc.UnaryUnaryMultiCallable[Any, T], request: Any) -> T:
        """Make a unary call; Unavailable if the connection is closed."""
        try:
            with self._open():
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
            What the service raised; what broke the stream if no later one brought a response in time;
            Unavailable if the connection is closed.
        """
        last_s = time.monotonic()  # when the service was last seen to answer
        while True:
            begun = time.monotonic()
            with self._open():
                call = method(next_request(), timeout=STREAM_TIMEOUT_S)
            try:
                for response in call:
                    yield response
                    last_s = time.monotonic()  # the reader's own time is no absence
                return
            except grpc.RpcError as error:
                broken = from_rpc_error(error, self.address)
            finally:
                call.cancel()  # the reader may have left
            now_s = time.monotonic()
            if now_s - begun > STEADY_S:  # it was ended by the renewal of its connection, or lost just now
                last_s = now_s
            if self._closed or now_s - last_s >= self._absence_s or not isinstance(broken, _BREAKS):
                raise broken
            time.sleep(self._pause_s)

    def exchange(
        self, method: grpc.StreamStreamMultiCallable[Any, T], requests: Iterator[Any]
    ) -> Iterator[T]:
        """Yield the responses to requests, and raise what these raise; the stream is not opened again."""
        failed: list[BaseException] = []

        def sent() -> Iterator[Any]:
            try:
                yield from requests
            except Exception as error:  # gRPC would only say that iterating failed
                failed.append(error)
                call.cancel()

        with self._open():
            call = method(sent(), timeout=STREAM_TIMEOUT_S)
        try:
            yield from call
        except grpc.RpcError as error:
            raise failed[0] if failed else from_rpc_error(error, self.address) from None
        finally:
            call.cancel()  # the reader may have left
        if failed:
            raise failed[0]

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Refuse a call on a closed channel, which grpc reports as a ValueError."""
        try:
            if self._closed:
                raise Unavailable(f"the client of {self.address} is closed")
            yield
        except ValueError:
            if not self._closed:
                raise
            raise Unavailable(f"the client of {self.address} is closed") from None

    def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._closed = True
        self.channel.close()
