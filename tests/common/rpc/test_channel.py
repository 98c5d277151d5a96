"""The client's side of every call: addresses, options, retries, and what a closed connection says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from services.common.errors import InvalidRequest, Unavailable
from services.common.pb.imcnas.v1 import hw_oracle_pb2, searcher_pb2, trainer_pb2
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.pb.imcnas.v1.hw_oracle_pb2_grpc import HwOracleServiceStub
from services.common.rpc import channel as module
from services.common.rpc import limits
from services.common.rpc.channel import Connection, open_channel

REQUEST = pb.HwOracleServiceEvaluateRequest()


@pytest.mark.parametrize("address", ["h:1", "127.0.0.1:65535", "[::1]:50051"])
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    open_channel(address).close()


@pytest.mark.parametrize(
    "address", ["::1:50051", "[::1:50051", "[h]:1", "h:0", "h:65536", "h:" + "9" * 5000, "[]:1", "[::1]"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="host:port"):
        open_channel(address)


def test_a_channel_balances_retries_pings_and_goes_past_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(grpc, "insecure_channel", lambda *given: made.append(given))
    open_channel("host:1")
    target, options = made[0][0], dict(made[0][1])
    assert target == "dns:///host:1"
    service = json.loads(options.pop("grpc.service_config"))
    assert service["loadBalancingConfig"] == [{"round_robin": {}}]
    (method,) = service["methodConfig"]
    assert {(n["service"], n["method"]) for n in method["name"]} == {
        (service.full_name, method.name)
        for file in (hw_oracle_pb2, searcher_pb2, trainer_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if not method.server_streaming  # a stream that gRPC retries may hang
    }
    assert method["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert method["retryPolicy"]["maxAttempts"] == 4
    assert options == {
        "grpc.max_send_message_length": limits.MAX_MESSAGE_BYTES,
        "grpc.max_receive_message_length": limits.MAX_MESSAGE_BYTES,
        "grpc.keepalive_time_ms": 30_000,
        "grpc.keepalive_timeout_ms": 10_000,
        "grpc.max_reconnect_backoff_ms": 2_000,
        "grpc.enable_http_proxy": 0,
        "grpc.per_rpc_retry_buffer_size": limits.MAX_MESSAGE_BYTES,
    }
    assert limits.KEEPALIVE_TIME_MS > limits.SERVER_MIN_PING_INTERVAL_MS  # or the server hangs up


class Broken(grpc.RpcError):
    """A stream that breaks before its first response."""

    def __iter__(self) -> Iterator[Any]:
        raise self

    def cancel(self) -> None: ...

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "gone"

    def trailing_metadata(self) -> tuple[()]:
        return ()


@pytest.fixture
def connection() -> Iterator[Connection]:
    connection = Connection("127.0.0.1:1", timeout_s=5, pause_s=0)
    yield connection
    connection.close()


def test_a_closed_connection_refuses_calls_and_streams(connection: Connection) -> None:
    stub = HwOracleServiceStub(connection.channel)
    connection.close()
    with pytest.raises(Unavailable, match=r"the client of 127\.0\.0\.1:1 is closed"):
        connection.call(stub.Evaluate, REQUEST)
    with pytest.raises(Unavailable, match="is closed"):
        next(connection.stream(stub.Evaluate, lambda: REQUEST))  # type: ignore[arg-type]


def test_a_channel_that_is_closed_between_the_look_and_the_call_is_a_closed_connection(
    connection: Connection,
) -> None:
    def late(request: Any, timeout: float) -> Any:
        connection.close()
        raise ValueError("Cannot invoke RPC on closed channel!")

    with pytest.raises(Unavailable, match="is closed"):
        connection.call(late, REQUEST)  # type: ignore[arg-type]


def test_a_wrong_value_is_no_closed_connection(connection: Connection) -> None:
    def wrong(request: Any, timeout: float) -> Any:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        connection.call(wrong, REQUEST)  # type: ignore[arg-type]


def test_a_stream_that_breaks_after_the_close_is_not_made_again(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []

    def broken(request: Any, timeout: float) -> Broken:
        opened.append(request)
        return Broken()

    monkeypatch.setattr(module.time, "sleep", lambda _: connection.close())
    with pytest.raises(Unavailable, match="is closed"):
        next(connection.stream(broken, lambda: REQUEST))  # type: ignore[arg-type]
    assert opened == [REQUEST]
