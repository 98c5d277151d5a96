"""What every served call has: metrics, a deadline, and errors that are statuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry, Counter, Histogram, Info

from services import __version__
from services.common.errors import DeadlineExceeded, InvalidRequest, Overloaded, violation
from services.common.rpc.limits import DEFAULT_DEADLINE_S, LARGE_AT_ONCE, LARGE_BYTES
from services.common.rpc.status import to_status

_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000)


class CallMetrics:
    """Metrics of served calls, under the names that gRPC dashboards know."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.started = Counter("grpc_server_started", "Calls begun.", _LABELS, registry=registry)
        self.handled = Counter(
            "grpc_server_handled", "Calls ended, by status.", (*_LABELS, "grpc_code"), registry=registry
        )
        self.seconds = Histogram(
            "grpc_server_handling_seconds", "Time to the end of a call.", _LABELS,
            registry=registry, buckets=_BUCKETS_S,
        )  # fmt: skip
        Info("imcnas_build", "Version that runs.", registry=registry).info({"version": __version__})


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Counts and times calls of all four kinds and turns what they raise into statuses.

    Handlers are coroutines or asynchronous generators. More than `most` calls at once are refused; large
    requests wait for their turn unread.
    """

    def __init__(self, metrics: CallMetrics, most: int, deadline_s: float = DEFAULT_DEADLINE_S) -> None:
        self._metrics = metrics
        self._most = most
        self._running = 0
        self._deadline_s = deadline_s
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of one call."""
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method; gRPC answers UNIMPLEMENTED
            return None
        kind = f"{_side(handler.request_streaming)}_{_side(handler.response_streaming)}"
        behavior = getattr(handler, kind)
        service, method = handler_call_details.method.lstrip("/").split("/", 1)
        grpc_type = {
            "unary_unary": "unary",
            "unary_stream": "server_stream",
            "stream_unary": "client_stream",
            "stream_stream": "bidi_stream",
        }[kind]
        labels = (grpc_type, service, method)
        # gRPC would answer bytes that are no message with the exception's text, so read them here.
        read = handler.request_deserializer
        make_request = _read_all if handler.request_streaming else _read

        async def unary(request: Any, context: Any) -> Any:
            large = isinstance(request, bytes) and len(request) > LARGE_BYTES
            turn = self._large if large else nullcontext()
            held = [request]
            del request  # gRPC keeps this frame as long as what it aborts with: in a circle, for a while
            async with self._watched(labels, context) as refusals:
                self._check_room()
                async with self._in_time(context), turn:
                    return await behavior(make_request(read, held.pop()), context)
            await _abort(context, refusals)  # type: ignore[unreachable]  # mypy takes `_watched` not to swallow
            return None

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async with (
                self._watched(labels, context) as refusals,
                aclosing(behavior(make_request(read, request), context)) as responses,
            ):
                self._check_room()
                async for response in responses:
                    yield response
                if context.cancelled():  # to a reader of requests that looks like their end
                    raise asyncio.CancelledError
            await _abort(context, refusals)

        make = getattr(grpc, f"{kind}_rpc_method_handler")
        wrapped = stream if handler.response_streaming else unary
        return make(wrapped, None, handler.response_serializer)

    @asynccontextmanager
    async def _watched(self, labels: tuple[str, str, str], context: Any) -> AsyncIterator[list[Any]]:
        """Count and time a call; what it raises becomes the status that the list then holds."""
        self._metrics.started.labels(*labels).inc()
        begin, code, refusals = perf_counter(), grpc.StatusCode.OK, list[Any]()
        self._running += 1
        try:
            yield refusals
        except asyncio.CancelledError:  # the client hung up, or its deadline passed
            left_s = context.time_remaining()
            late = left_s is not None and left_s <= 0
            code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
            raise
        except Exception as error:
            refusals.append(rpc_status.to_status(to_status(error, "/".join(labels[1:]))))
            code = refusals[0].code
        finally:
            self._running -= 1
            self._metrics.handled.labels(*labels, code.name).inc()
            self._metrics.seconds.labels(*labels).observe(perf_counter() - begin)

    def _check_room(self) -> None:
        if self._running > self._most:
            raise Overloaded(f"{self._most} calls run already: try again later")

    @asynccontextmanager
    async def _in_time(self, context: Any) -> AsyncIterator[None]:
        """Give a call without a deadline the default one; a stream ends with the work that it reports."""
        limit_s = self._deadline_s if context.time_remaining() is None else None
        try:
            async with asyncio.timeout(limit_s) as timer:
                yield
        except TimeoutError:
            if timer.expired():
                raise DeadlineExceeded(f"not done in {limit_s} s: set a longer deadline") from None
            raise


async def _abort(context: Any, refusals: list[Any]) -> None:
    """Send the status of a call that was refused, once it was counted.

    Not while what was raised is handled: gRPC would keep it beside its own exception, and with it, through
    its frames, the request.
    """
    for status in refusals:
        await context.abort(status.code, status.details, status.trailing_metadata)


async def _read_all(deserializer: Callable[[Any], Any] | None, requests: Any) -> AsyncIterator[Any]:
    async for request in requests:
        yield _read(deserializer, request)


def _read(deserializer: Callable[[Any], Any] | None, request: Any) -> Any:
    try:
        return deserializer(request) if deserializer else request
    except DecodeError:
        raise InvalidRequest.of(violation("request", "other bytes", "a message of this call")) from None


def _side(streaming: bool) -> str:
    return "stream" if streaming else "unary"
