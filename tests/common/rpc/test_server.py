"""The one bootstrap: what every service has beside its calls."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry

from services.common import errors
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.pb.imcnas.v1 import hw_oracle_pb2_grpc as pb_grpc
from services.common.rpc import limits
from services.common.rpc.channel import Connection, open_channel
from services.common.rpc.limits import MAX_MESSAGE_BYTES
from services.common.rpc.server import RpcServer, listening, serve_until
from services.common.settings import OracleSettings

SERVICE = "imcnas.v1.HwOracleService"


class Scripted(pb_grpc.HwOracleServiceServicer):
    """Does what a test says."""

    def __init__(self) -> None:
        self.act: Callable[[], Any] = lambda: None

    async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802
        result = self.act()
        if asyncio.iscoroutine(result):
            await result
        return pb.HwOracleServiceEvaluateResponse()


def make_server(script: Scripted, **settings: Any) -> RpcServer:
    return RpcServer(
        SERVICE,
        lambda server: pb_grpc.add_HwOracleServiceServicer_to_server(script, server),
        OracleSettings(**settings),
        CollectorRegistry(),
    )


@pytest.fixture(scope="module")
def served(host: Any, any_ports: dict[str, Any]) -> SimpleNamespace:
    script = Scripted()
    return SimpleNamespace(script=script, ports=host.start(make_server(script, **any_ports)))


@pytest.fixture
def script(served: SimpleNamespace) -> Scripted:
    served.script.act = lambda: None
    return served.script


@pytest.fixture
def channel(served: SimpleNamespace) -> Iterator[grpc.Channel]:
    with open_channel(f"127.0.0.1:{served.ports.calls}") as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.Channel) -> pb_grpc.HwOracleServiceStub:
    return pb_grpc.HwOracleServiceStub(channel)


def raising(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def metrics(served: SimpleNamespace) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{served.ports.metrics}/metrics") as answer:
        return answer.read().decode()


def evaluate(stub: pb_grpc.HwOracleServiceStub, **options: Any) -> Any:
    return stub.Evaluate(pb.HwOracleServiceEvaluateRequest(), **({"timeout": 10} | options))


def test_health_answers_on_a_port_of_its_own(served: SimpleNamespace, channel: grpc.Channel) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{served.ports.health}") as probe:
        for name in ("", SERVICE):
            request = health_pb2.HealthCheckRequest(service=name)
            answer = health_pb2_grpc.HealthStub(probe).Check(request, timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            evaluate(pb_grpc.HwOracleServiceStub(probe))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_reflection_names_the_service(channel: grpc.Channel) -> None:
    ask = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    answer = next(stub.ServerReflectionInfo(ask, timeout=10))
    assert SERVICE in [s.name for s in answer.list_services_response.service]


def test_calls_are_counted_by_their_status(
    served: SimpleNamespace, script: Scripted, stub: pb_grpc.HwOracleServiceStub
) -> None:
    evaluate(stub)
    script.act = raising(errors.NotFound("x"))
    with pytest.raises(grpc.RpcError):
        evaluate(stub)
    text = metrics(served)
    name = f'grpc_method="Evaluate",grpc_service="{SERVICE}",grpc_type="unary"'
    for code in ("OK", "NOT_FOUND"):
        assert f'grpc_server_handled_total{{grpc_code="{code}",{name}}}' in text
    assert f"grpc_server_started_total{{{name}}}" in text
    assert f"grpc_server_handling_seconds_count{{{name}}}" in text
    assert 'imcnas_build_info{version="' in text


def test_an_unexpected_error_leaks_no_text(script: Scripted, stub: pb_grpc.HwOracleServiceStub) -> None:
    script.act = raising(RuntimeError("secret"))
    with pytest.raises(grpc.RpcError) as caught:
        evaluate(stub)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "incident" in caught.value.details()
    assert "secret" not in caught.value.details() + repr(caught.value.trailing_metadata())


def test_bytes_that_are_no_message_are_refused_and_the_next_call_is_served(
    channel: grpc.Channel, script: Scripted, stub: pb_grpc.HwOracleServiceStub
) -> None:
    raw = channel.unary_unary(f"/{SERVICE}/Evaluate")
    for body in (b"\xff" * 100, b"\x0a\x7f", b"\x08"):
        with pytest.raises(grpc.RpcError) as caught:
            raw(body, timeout=10)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    evaluate(stub)


def test_a_method_that_does_not_exist_is_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/Nothing")(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_message_over_the_limit_is_refused_as_the_callers_fault(served: SimpleNamespace) -> None:
    connection = Connection(f"127.0.0.1:{served.ports.calls}", timeout_s=10)
    request = pb.HwOracleServiceEvaluateRequest(preset="x" * MAX_MESSAGE_BYTES)
    with pytest.raises(errors.InvalidRequest, match="larger than max"):
        connection.call(pb_grpc.HwOracleServiceStub(connection.channel).Evaluate, request)
    connection.close()


def test_a_call_that_sets_no_deadline_gets_one(
    host: Any, any_ports: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Scripted()
    server = make_server(script, **any_ports)
    monkeypatch.setattr(server._interceptor, "_deadline_s", 0.01)
    script.act = lambda: asyncio.Event().wait()
    with (
        open_channel(f"127.0.0.1:{host.start(server).calls}") as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        evaluate(pb_grpc.HwOracleServiceStub(channel), timeout=None)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "set a longer deadline" in caught.value.details()


def test_a_call_over_the_limit_is_refused_as_overloaded(host: Any, any_ports: dict[str, Any]) -> None:
    script, entered = Scripted(), asyncio.Event()
    release = asyncio.Event()

    async def wait() -> None:
        entered.set()
        await release.wait()

    script.act = wait
    ports = host.start(make_server(script, **any_ports, max_concurrent_calls=1))
    connection = Connection(f"127.0.0.1:{ports.calls}", timeout_s=10)
    stub = pb_grpc.HwOracleServiceStub(connection.channel)
    first = stub.Evaluate.future(pb.HwOracleServiceEvaluateRequest(), timeout=10)
    host.submit(entered.wait()).result(timeout=10)
    with pytest.raises(errors.Overloaded, match="1 calls run already: try again later"):
        connection.call(stub.Evaluate, pb.HwOracleServiceEvaluateRequest())
    with pytest.raises(grpc.RpcError) as caught:
        evaluate(stub)
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in rpc_status.from_call(caught.value).details)
    assert retry.retry_delay.seconds > 0
    host.loop.call_soon_threadsafe(release.set)
    first.result()
    evaluate(stub)
    connection.close()


def test_a_server_that_drains_says_so_and_ends_what_runs(make_host: Any, any_ports: dict[str, Any]) -> None:
    host, script, entered, release = make_host(), Scripted(), asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        entered.set()
        await release.wait()

    script.act = wait
    server = make_server(script, **any_ports)
    ports = host.submit(server.start()).result(timeout=10)
    with (
        open_channel(f"127.0.0.1:{ports.calls}") as channel,
        open_channel(f"127.0.0.1:{ports.health}") as probe,
    ):
        stub = pb_grpc.HwOracleServiceStub(channel)
        running = stub.Evaluate.future(pb.HwOracleServiceEvaluateRequest(), timeout=10)
        host.submit(entered.wait()).result(timeout=10)
        drained = host.submit(server.drain())
        answer = health_pb2_grpc.HealthStub(probe).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert not drained.done()
        host.loop.call_soon_threadsafe(release.set)
        assert running.result() == pb.HwOracleServiceEvaluateResponse()
        drained.result(timeout=10)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports.calls))


@pytest.mark.parametrize("name", ["port", "health_port", "metrics_port"])
def test_a_port_that_is_taken_is_named_and_nothing_listens(
    host: Any, any_ports: dict[str, Any], name: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = make_server(Scripted(), **(any_ports | {name: port}))
        with pytest.raises(
            errors.NotPossible,
            match=rf"127.0.0.1:{port} .*runs already.* set IMCNAS_ORACLE_{name.upper()} to",
        ):
            host.submit(server.start()).result(timeout=10)


def test_two_servers_never_share_a_port(
    host: Any, any_ports: dict[str, Any], served: SimpleNamespace
) -> None:
    server = make_server(Scripted(), **(any_ports | {"port": served.ports.calls}))
    with pytest.raises(errors.NotPossible):
        host.submit(server.start()).result(timeout=10)


def test_serving_prints_the_ports_and_ends_when_told(
    any_ports: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    async def begin_and_end() -> None:
        stop = asyncio.Event()
        stop.set()
        await serve_until(listening(make_server(Scripted(), **any_ports)), stop)

    asyncio.run(begin_and_end())
    assert capsys.readouterr().out.startswith("HwOracleService serves on port ")


def test_a_service_that_is_unavailable_for_a_moment_is_asked_again(
    script: Scripted, stub: pb_grpc.HwOracleServiceStub
) -> None:
    answers = iter(
        [raising(errors.Unavailable("a moment")), raising(errors.Unavailable("again")), lambda: None]
    )
    script.act = lambda: next(answers)()
    evaluate(stub)
    assert next(answers, None) is None


def test_calls_are_served_while_balancers_learn_of_the_drain(
    make_host: Any, any_ports: dict[str, Any]
) -> None:
    host = make_host()
    server = make_server(Scripted(), **any_ports, drain_s=3600)
    ports = host.submit(server.start()).result(timeout=10)
    drain = host.submit(server.drain())
    with (
        open_channel(f"127.0.0.1:{ports.calls}") as channel,
        open_channel(f"127.0.0.1:{ports.health}") as probe,
    ):
        answer = health_pb2_grpc.HealthStub(probe).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        evaluate(pb_grpc.HwOracleServiceStub(channel))
        assert not drain.done()
    drain.cancel()
    host.submit(server._stop(0)).result(timeout=10)


def test_servers_bound_messages_pings_and_the_age_of_connections(
    host: Any, any_ports: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []
    make = grpc.aio.server
    monkeypatch.setattr(grpc.aio, "server", lambda **given: made.append(given) or make(**given))
    host.start(make_server(Scripted(), **any_ports, max_concurrent_calls=5))
    calls, probes = made
    assert dict(calls["options"]) == {
        "grpc.so_reuseport": 0,
        "grpc.max_send_message_length": limits.MAX_MESSAGE_BYTES,
        "grpc.max_receive_message_length": limits.MAX_MESSAGE_BYTES,
        "grpc.http2.min_recv_ping_interval_without_data_ms": 20_000,
        "grpc.http2.max_ping_strikes": 2,
        "grpc.max_connection_age_ms": 300_000,
        "grpc.max_connection_age_grace_ms": 30_000,
    }
    assert calls["maximum_concurrent_rpcs"] > 5  # the interceptor refuses before gRPC does
    assert dict(probes["options"]) == {"grpc.so_reuseport": 0}
    assert "maximum_concurrent_rpcs" not in probes


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_a_server_listens_on_ipv6(host: Any, any_ports: dict[str, Any]) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("IPv6 is off")
    ports = host.start(make_server(Scripted(), **any_ports, host="::1"))
    with open_channel(f"[::1]:{ports.calls}") as channel:
        evaluate(pb_grpc.HwOracleServiceStub(channel))


def test_a_host_that_does_not_resolve_is_named(host: Any, any_ports: dict[str, Any]) -> None:
    server = make_server(Scripted(), **any_ports, host="nowhere.invalid")
    with pytest.raises(errors.NotPossible, match=r"host 'nowhere.invalid' .* set IMCNAS_ORACLE_HOST"):
        host.submit(server.start()).result(timeout=30)
