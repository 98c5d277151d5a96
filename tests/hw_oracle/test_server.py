"""The oracle as a foreign client sees it: raw requests, raw statuses, metrics."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.pb.imcnas.v1 import hw_oracle_pb2_grpc, network_pb2
from services.common.rpc.limits import MAX_MESSAGE_BYTES
from services.common.settings import OracleSettings
from services.hw_oracle import local
from services.hw_oracle.server import oracle_server

SHAPE = network_pb2.Shape(channels=1, height=8, width=8)
CONV = network_pb2.Layer(conv2d=network_pb2.Conv2d(inputs=[-1], out_channels=4, kernel_size=3))
GOOD = network_pb2.LayerList(input_shape=SHAPE, layers=[CONV])


@pytest.fixture(scope="module")
def ports(host: Any, any_ports: dict[str, Any]) -> Any:
    return host.start(oracle_server(OracleSettings(**any_ports)))


@pytest.fixture
def stub(ports: Any) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{ports.calls}") as channel:
        yield hw_oracle_pb2_grpc.HwOracleServiceStub(channel)


def refusal(stub: Any, request: pb.HwOracleServiceEvaluateRequest) -> SimpleNamespace:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Evaluate(request, timeout=10)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in rpc_status.from_call(caught.value).details:
        detail.Unpack(info)
        detail.Unpack(bad)
    fields = [v.field for v in bad.field_violations]
    return SimpleNamespace(code=caught.value.code(), reason=info.reason, domain=info.domain, fields=fields)


def bad_kernel() -> network_pb2.LayerList:
    layers = network_pb2.LayerList(input_shape=SHAPE, layers=[CONV, CONV])
    layers.layers[1].conv2d.kernel_size = 99
    layers.layers[1].conv2d.inputs[0] = 0
    return layers


@pytest.mark.parametrize(
    ("request_", "reason", "fields"),
    [
        (pb.HwOracleServiceEvaluateRequest(), "INVALID_REQUEST", ["input_shape"]),
        (pb.HwOracleServiceEvaluateRequest(network=GOOD), "INVALID_REQUEST", ["chip"]),
        (
            pb.HwOracleServiceEvaluateRequest(network=bad_kernel(), config=pb.ChipConfig()),
            "INVALID_NETWORK",
            ["layers[1].conv2d.kernel_size"],
        ),
        (
            pb.HwOracleServiceEvaluateRequest(
                network=network_pb2.LayerList(input_shape=SHAPE, layers=[CONV] * 100_000),
                config=pb.ChipConfig(),
            ),
            "INVALID_REQUEST",
            ["layers"],
        ),
        (
            pb.HwOracleServiceEvaluateRequest(network=GOOD, config=pb.ChipConfig(clock_mhz=-1.0)),
            "INVALID_CHIP",
            ["chip.clock_mhz"],
        ),
        (
            pb.HwOracleServiceEvaluateRequest(network=GOOD, config=pb.ChipConfig(placement=99)),  # type: ignore[arg-type]
            "INVALID_REQUEST",
            ["chip.placement"],
        ),
    ],
)
def test_a_bad_request_is_an_invalid_argument_with_the_path_of_its_field(
    stub: Any, request_: pb.HwOracleServiceEvaluateRequest, reason: str, fields: list[str]
) -> None:
    answer = refusal(stub, request_)
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (answer.reason, answer.domain) == (reason, "imcnas")
    assert answer.fields == fields


def test_an_empty_chip_is_the_default_chip(stub: Any) -> None:
    chips = (
        {"config": pb.ChipConfig()},
        {"config": pb.ChipConfig(tile=pb.TileConfig(pe=pb.PeConfig()))},
        {"preset": "mnsim2_default"},
    )
    reports = [
        stub.Evaluate(pb.HwOracleServiceEvaluateRequest(network=GOOD, **chip), timeout=10).report
        for chip in chips
    ]
    assert reports[0] == reports[1] == reports[2]


def test_server_info_tells_the_largest_message(stub: Any) -> None:
    answer = stub.GetServerInfo(pb.HwOracleServiceGetServerInfoRequest(), timeout=10)
    assert answer.max_message_bytes == MAX_MESSAGE_BYTES
    assert answer.info.version == local.info().version


def test_metrics_tell_refused_networks_from_evaluated_ones(stub: Any, ports: Any) -> None:
    stub.Evaluate(pb.HwOracleServiceEvaluateRequest(network=GOOD, config=pb.ChipConfig()), timeout=10)
    refusal(stub, pb.HwOracleServiceEvaluateRequest(network=GOOD))
    with urllib.request.urlopen(f"http://127.0.0.1:{ports.metrics}/metrics") as answer:
        text = answer.read().decode()
    for result in ("ok", "refused"):
        assert f'imcnas_oracle_networks_total{{result="{result}"}}' in text
        assert f'imcnas_oracle_evaluate_seconds_count{{result="{result}"}}' in text


def test_a_slow_evaluation_holds_up_neither_probes_nor_other_calls(
    stub: Any, ports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release, evaluate = Event(), Event(), local.evaluate

    def slow(*given: Any) -> Any:
        begun.set()
        release.wait(30)
        return evaluate(*given)

    monkeypatch.setattr(local, "evaluate", slow)
    request = pb.HwOracleServiceEvaluateRequest(network=GOOD, preset="mnsim2_default")
    running = stub.Evaluate.future(request, timeout=30)
    assert begun.wait(10)
    with grpc.insecure_channel(f"127.0.0.1:{ports.health}") as probe:
        answer = health_pb2_grpc.HealthStub(probe).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stub.GetServerInfo(pb.HwOracleServiceGetServerInfoRequest(), timeout=10)
    assert not running.done()
    release.set()
    assert running.result().report.latency_ns > 0


def test_our_own_mistake_is_internal_and_its_text_stays_here(
    stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(local, "evaluate", broken)
    request = pb.HwOracleServiceEvaluateRequest(network=GOOD, preset="x")
    with pytest.raises(grpc.RpcError) as caught:
        stub.Evaluate(request, timeout=10)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in repr(caught.value.trailing_metadata()) + caught.value.details()
