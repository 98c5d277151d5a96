"""Around every call: its metrics, its deadline, and how many large requests are read at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from services.common import errors
from services.common.rpc import interceptor
from services.common.rpc.limits import LARGE_AT_ONCE, LARGE_BYTES


def test_metrics_of_all_four_kinds_of_call_carry_their_type() -> None:
    async def answer(request: Any, context: Any) -> str:
        return "unary"

    async def stream(request: Any, context: Any) -> Any:
        yield "stream"

    async def call(handler: Any) -> list[str]:
        caller = interceptor.CallInterceptor(calls, most=1)
        details = SimpleNamespace(method="/p.Service/Call")

        async def continuation(_: Any) -> Any:
            return handler

        wrapped = await caller.intercept_service(continuation, details)
        context = SimpleNamespace(time_remaining=lambda: 1.0, cancelled=lambda: False)
        kind = next(
            k for k in ("unary_unary", "unary_stream", "stream_unary", "stream_stream") if getattr(wrapped, k)
        )
        made = getattr(wrapped, kind)(None, context)
        return [item async for item in made] if wrapped.response_streaming else [await made]

    registry = CollectorRegistry()
    calls = interceptor.CallMetrics(registry)
    kinds = {
        "unary": grpc.unary_unary_rpc_method_handler(answer),
        "server_stream": grpc.unary_stream_rpc_method_handler(stream),
        "client_stream": grpc.stream_unary_rpc_method_handler(answer),
        "bidi_stream": grpc.stream_stream_rpc_method_handler(stream),
    }
    for kind, handler in kinds.items():
        assert asyncio.run(call(handler)) == ["stream" if handler.response_streaming else "unary"]
        labels = {"grpc_type": kind, "grpc_service": "p.Service", "grpc_method": "Call", "grpc_code": "OK"}
        assert registry.get_sample_value("grpc_server_handled_total", labels) == 1


def test_a_call_whose_deadline_passes_is_counted_as_such() -> None:
    async def cancelled(request: Any, context: Any) -> None:
        raise asyncio.CancelledError

    async def call(left_s: float | None) -> None:
        registry = CollectorRegistry()
        caller = interceptor.CallInterceptor(interceptor.CallMetrics(registry), most=1)

        async def continuation(_: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(cancelled)

        handler = await caller.intercept_service(continuation, SimpleNamespace(method="/p.Service/Call"))
        times = iter([1.0, left_s])  # at the beginning and at the end
        with pytest.raises(asyncio.CancelledError):
            await handler.unary_unary(None, SimpleNamespace(time_remaining=lambda: next(times)))
        late = left_s is not None and left_s <= 0
        labels = {"grpc_type": "unary", "grpc_service": "p.Service", "grpc_method": "Call"}
        labels["grpc_code"] = "DEADLINE_EXCEEDED" if late else "CANCELLED"
        assert registry.get_sample_value("grpc_server_handled_total", labels) == 1

    for left_s in (0.0, -0.1, 0.5, None):
        asyncio.run(call(left_s))


def test_a_refusal_is_counted_before_it_is_sent() -> None:
    registry = CollectorRegistry()
    caller = interceptor.CallInterceptor(interceptor.CallMetrics(registry), most=1)
    labels = {
        "grpc_type": "unary",
        "grpc_service": "p.Service",
        "grpc_method": "Call",
        "grpc_code": "NOT_FOUND",
    }
    counted: list[float | None] = []

    async def abort(*answer: Any) -> None:
        counted.append(registry.get_sample_value("grpc_server_handled_total", labels))

    async def refuse(request: Any, context: Any) -> None:
        raise errors.NotFound("x")

    async def continuation(_: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(refuse)

    async def call() -> None:
        handler = await caller.intercept_service(continuation, SimpleNamespace(method="/p.Service/Call"))
        await handler.unary_unary(None, SimpleNamespace(time_remaining=lambda: 1.0, abort=abort))

    asyncio.run(call())
    assert counted == [1]


def test_large_requests_are_read_a_few_at_a_time() -> None:
    read: list[int] = []

    async def work() -> None:
        release = asyncio.Event()

        async def answer(request: int, context: Any) -> int:
            await release.wait()
            return request

        def count(request: bytes) -> int:
            read.append(len(request))
            return len(request)

        async def continuation(_: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=count)

        caller = interceptor.CallInterceptor(interceptor.CallMetrics(CollectorRegistry()), most=100)
        wrapped = await caller.intercept_service(continuation, SimpleNamespace(method="/p.Service/Call"))
        context = SimpleNamespace(time_remaining=lambda: 60.0, cancelled=lambda: False)
        large, small = bytes(LARGE_BYTES + 1), bytes(LARGE_BYTES)
        sent = [large] * (LARGE_AT_ONCE + 2) + [small]
        calls = [asyncio.create_task(wrapped.unary_unary(request, context)) for request in sent]
        for _ in range(10):
            await asyncio.sleep(0)
        assert read == [LARGE_BYTES + 1] * LARGE_AT_ONCE + [LARGE_BYTES]
        release.set()
        assert await asyncio.gather(*calls) == [len(request) for request in sent]

    asyncio.run(work())
