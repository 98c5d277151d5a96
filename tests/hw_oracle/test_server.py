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

from services import __version__
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.pb.imcnas.v1 import hw_oracle_pb2_grpc, network_pb2
from services.common.rpc.limits import MAX_MESSAGE_BYTES
from services.common.settings import OracleSettings
from services.hw_oracle import cost
from services.hw_oracle.server import Evaluations, oracle_server

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
        (pb.HwOracleServiceEvaluateRequest(preset="mnsim2_default"), "INVALID_REQUEST", ["input_shape"]),
        (
            pb.HwOracleServiceEvaluateRequest(network=GOOD, preset="mnsim2_default", detail=9),  # type: ignore[arg-type]
            "INVALID_REQUEST",
            ["detail"],
        ),
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
    assert answer.info.version == __version__


def metrics(ports: Any) -> dict[str, float]:
    """Every sample of the metrics page by its name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ports.metrics}/metrics") as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


@pytest.mark.parametrize("detail", pb.Detail.values())
def test_metrics_count_each_network_once_as_what_became_of_it(stub: Any, ports: Any, detail: Any) -> None:
    chip = pb.ChipConfig(clock_mhz=300.0 + detail)  # nothing of it is in the cache

    def request(network: network_pb2.LayerList) -> pb.HwOracleServiceEvaluateRequest:
        return pb.HwOracleServiceEvaluateRequest(network=network, config=chip, detail=detail)

    before = metrics(ports)
    stub.Evaluate(request(GOOD), timeout=10)
    refusal(stub, request(bad_kernel()))
    stub.BatchEvaluate(
        pb.HwOracleServiceBatchEvaluateRequest(networks=[GOOD, bad_kernel()], config=chip, detail=detail)
    )
    after = metrics(ports)
    # of the batch's good network only totals are made anew
    counted = {"ok": 1 + (detail == pb.DETAIL_TOTALS), "refused": 2}
    for result, count in counted.items():
        for name in ("networks_total", "evaluate_seconds_count"):
            sample = f'imcnas_oracle_{name}{{result="{result}"}}'
            assert after[sample] - before[sample] == count, sample


def test_a_slow_evaluation_holds_up_neither_probes_nor_other_calls(
    stub: Any, ports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release, evaluate = Event(), Event(), cost.cost_packed

    def slow(*given: Any) -> Any:
        begun.set()
        release.wait(30)
        return evaluate(*given)

    monkeypatch.setattr(cost, "cost_packed", slow)
    never_seen = pb.ChipConfig(clock_mhz=123.0)
    request = pb.HwOracleServiceEvaluateRequest(network=GOOD, config=never_seen)
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

    monkeypatch.setattr(cost, "cost_packed", broken)
    request = pb.HwOracleServiceEvaluateRequest(network=GOOD, config=pb.ChipConfig(clock_mhz=124.0))
    with pytest.raises(grpc.RpcError) as caught:
        stub.Evaluate(request, timeout=10)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in repr(caught.value.trailing_metadata()) + caught.value.details()


def test_a_batch_answers_in_order_each_by_itself(stub: Any) -> None:
    none = network_pb2.LayerList(input_shape=SHAPE, layers=[network_pb2.Layer()])
    networks = [GOOD, bad_kernel(), none, GOOD]
    for detail in pb.Detail.values():
        response = stub.BatchEvaluate(
            pb.HwOracleServiceBatchEvaluateRequest(networks=networks, preset="mnsim2_default", detail=detail)
        )
        first, kernel, empty, last = response.results
        assert first == last
        assert first.report.latency_ns > 0
        assert bool(first.report.layers) == (detail != pb.DETAIL_TOTALS)
        assert [v.field for v in kernel.error.violations] == ["layers[1].conv2d.kernel_size"]
        assert (kernel.error.reason, empty.error.reason) == ("INVALID_NETWORK", "INVALID_REQUEST")


def test_what_is_asked_again_is_found_in_the_cache_and_equal(stub: Any, ports: Any) -> None:
    def hits() -> float:
        return metrics(ports)['imcnas_oracle_cache_requests_total{result="hit"}']

    for detail in (pb.DETAIL_TOTALS, pb.DETAIL_LAYERS, pb.DETAIL_MODULES):
        chip = pb.ChipConfig(clock_mhz=77.0)
        request = pb.HwOracleServiceEvaluateRequest(network=GOOD, config=chip, detail=detail)
        first, before = stub.Evaluate(request), hits()
        assert stub.Evaluate(request) == first
        assert hits() == before + (detail != pb.DETAIL_TOTALS)  # which are made faster than found


def test_a_stream_keeps_its_chip_and_survives_a_bad_network(stub: Any) -> None:
    requests = [
        pb.HwOracleServiceEvaluateStreamRequest(network=GOOD, preset="mnsim2_default"),
        pb.HwOracleServiceEvaluateStreamRequest(network=bad_kernel()),
        pb.HwOracleServiceEvaluateStreamRequest(network=GOOD, detail=pb.DETAIL_TOTALS),
        pb.HwOracleServiceEvaluateStreamRequest(network=GOOD, config=pb.ChipConfig(clock_mhz=100.0)),
        pb.HwOracleServiceEvaluateStreamRequest(network=GOOD),
    ]
    results = [response.result for response in stub.EvaluateStream(iter(requests), timeout=30)]
    assert [r.WhichOneof("result") for r in results] == ["report", "error", "report", "report", "report"]
    assert results[0].report.latency_ns == results[2].report.latency_ns < results[3].report.latency_ns
    assert results[3].report == results[4].report
    assert results[0].report.layers
    assert not results[2].report.layers


def test_a_stream_must_begin_with_a_chip(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.EvaluateStream(iter([pb.HwOracleServiceEvaluateStreamRequest(network=GOOD)]), timeout=30))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_validate_names_all_that_is_wrong_at_once(stub: Any) -> None:
    def reasons(**given: Any) -> list[tuple[str, list[str]]]:
        errors = stub.Validate(pb.HwOracleServiceValidateRequest(**given)).errors
        return [(e.reason, [v.field for v in e.violations]) for e in errors]

    assert reasons(network=GOOD, preset="mnsim2_default") == []
    assert reasons(network=GOOD) == reasons(config=pb.ChipConfig()) == []
    assert reasons() == [("INVALID_REQUEST", ["network"])]
    wrong = pb.ChipConfig(clock_mhz=-1.0, grid_rows=0)
    assert reasons(network=bad_kernel(), config=wrong) == [
        ("INVALID_NETWORK", ["layers[1].conv2d.kernel_size"]),
        ("INVALID_CHIP", ["chip.clock_mhz", "chip.grid_rows"]),
    ]
    big = network_pb2.LayerList(
        input_shape=network_pb2.Shape(channels=1, height=40, width=40), layers=[CONV, CONV]
    )
    for i, layer in enumerate(big.layers):
        layer.conv2d.kernel_size, layer.conv2d.inputs[0] = 17, i - 1
    fields = [f"layers[{i}].conv2d.kernel_size" for i in range(2)]
    assert reasons(network=big, preset="mnsim2_default") == [("INVALID_NETWORK", fields)]


@pytest.mark.parametrize(
    ("call", "request_", "field"),
    [
        (
            "BatchEvaluate",
            pb.HwOracleServiceBatchEvaluateRequest(networks=[GOOD] * 1001, preset="mnsim2_default"),
            "networks",
        ),
        (
            "EvaluateCandidates",
            pb.HwOracleServiceEvaluateCandidatesRequest(depths=[1] * 10_001, preset="mnsim2_default"),
            "depths",
        ),
        (
            "EvaluateCandidates",
            pb.HwOracleServiceEvaluateCandidatesRequest(preset="mnsim2_default"),
            "classes",
        ),
        ("EvaluateCandidates", pb.HwOracleServiceEvaluateCandidatesRequest(depths=[1]), "chip"),
        ("BatchEvaluate", pb.HwOracleServiceBatchEvaluateRequest(networks=[GOOD]), "chip"),
    ],
)
def test_a_request_for_too_much_or_too_little_is_refused_whole(
    stub: Any, call: str, request_: Any, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub, call)(request_, timeout=30)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details().startswith(field)


def test_limits_are_told(stub: Any) -> None:
    answer = stub.GetServerInfo(pb.HwOracleServiceGetServerInfoRequest(), timeout=10)
    assert (answer.max_networks, answer.max_candidates) == (1000, 10_000)
    assert (answer.max_layers, answer.max_points) == (4096, 2**22)
    assert answer.max_message_bytes == 16 * 2**20


def test_a_call_that_is_cancelled_stops_its_work(
    stub: Any, ports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release, chunks = Event(), Event(), []

    def slow(self: Any, networks: Any, *_: Any) -> list[Any]:
        chunks.append(len(networks))
        begun.set()
        release.wait(30)
        return []

    monkeypatch.setattr(Evaluations, "many", slow)
    running = stub.BatchEvaluate.future(
        pb.HwOracleServiceBatchEvaluateRequest(networks=[GOOD] * 500, preset="mnsim2_default")
    )
    assert begun.wait(10)
    running.cancel()
    for _ in range(1000):  # until the service has heard of it
        with urllib.request.urlopen(f"http://127.0.0.1:{ports.metrics}/metrics") as answer:
            if b'grpc_code="CANCELLED"' in answer.read():
                break
    release.set()
    stub.GetServerInfo(pb.HwOracleServiceGetServerInfoRequest(), timeout=10)
    assert chunks == [100]
