"""The searcher as a foreign client sees it, and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from prometheus_client import CollectorRegistry, generate_latest

from services.common.convert import to_pb
from services.common.pb.imcnas.v1 import searcher_pb2 as pb
from services.common.pb.imcnas.v1 import searcher_pb2_grpc
from services.common.settings import SearcherSettings
from services.searcher.events import SearchStarted
from services.searcher.manager import SearchManager
from services.searcher.metrics import MAX_STUDIES, SearcherMetrics
from services.searcher.server import searcher_server
from services.searcher.types import StudyConfig


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> SearcherMetrics:
    return SearcherMetrics(registry)


@pytest.fixture
def manager(tmp_path: Path, world: Any, metrics: SearcherMetrics) -> Iterator[SearchManager]:
    oracle = SimpleNamespace(evaluate=lambda layers, chip: world.cost(layers))
    manager = SearchManager(tmp_path / "studies.db", oracle, world, on_event=metrics.tell)
    yield manager
    manager.close()


@pytest.fixture
def stub(
    manager: SearchManager, host: Any, any_ports: dict[str, Any]
) -> Iterator[searcher_pb2_grpc.SearcherServiceStub]:
    ports = host.start(searcher_server(manager, SearcherSettings(**any_ports)))
    with grpc.insecure_channel(f"127.0.0.1:{ports.calls}") as channel:
        yield searcher_pb2_grpc.SearcherServiceStub(channel)


def test_a_bad_study_is_an_invalid_argument_with_the_path_of_its_field(
    stub: searcher_pb2_grpc.SearcherServiceStub, make_config: Callable[..., StudyConfig]
) -> None:
    good = pb.CreateSearchRequest(config=to_pb(make_config(), pb.StudyConfig), trials_wanted=1)

    def without_objective(request: pb.CreateSearchRequest) -> None:
        request.config.ClearField("objective")

    def with_an_unknown_block(request: pb.CreateSearchRequest) -> None:
        request.config.space.block_types.append(77)  # type: ignore[arg-type]

    def with_a_bad_clock(request: pb.CreateSearchRequest) -> None:
        request.config.chip.clock_mhz = 0.0

    for change, field in (
        (without_objective, "objective"),
        (with_an_unknown_block, "space.block_types[3]"),
        (with_a_bad_clock, "chip.clock_mhz"),
    ):
        request = pb.CreateSearchRequest.FromString(good.SerializeToString())
        change(request)
        with pytest.raises(grpc.RpcError) as caught:
            stub.CreateSearch(request, timeout=10)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        bad = error_details_pb2.BadRequest()
        for detail in rpc_status.from_call(caught.value).details:
            detail.Unpack(bad)
        assert [v.field for v in bad.field_violations] == [field]


def test_metrics_count_trials_and_forget_a_study_that_has_ended(
    manager: SearchManager, registry: CollectorRegistry, make_config: Callable[..., StudyConfig]
) -> None:
    list(manager.watch(manager.create(make_config(name="counted"), 4)))
    assert registry.get_sample_value("imcnas_search_trials_total", {"outcome": "complete"}) == 4
    assert registry.get_sample_value("imcnas_search_ask_seconds_count") == 4
    assert b'study="counted"' not in generate_latest(registry)


def test_a_running_study_shows_best_front_volume_and_last_trial(
    manager: SearchManager, metrics: SearcherMetrics, registry: CollectorRegistry,
    make_config: Callable[..., StudyConfig],
) -> None:  # fmt: skip
    trials = tuple(manager.watch(manager.create(make_config(name="shown"), 4)))
    config = make_config(name="again")
    metrics.tell(SearchStarted(study_id="s", config=config, trials=trials, trials_wanted=9))
    label = {"study": "again"}
    best = registry.get_sample_value("imcnas_search_best_objective", label)
    assert best == max(t.fitness for t in trials if t.fitness is not None)
    assert registry.get_sample_value("imcnas_search_pareto_points", label) == len(
        manager.status("shown").front
    )
    volume = registry.get_sample_value("imcnas_search_hypervolume", label)
    assert volume is not None
    assert 0 < volume < 1
    last = registry.get_sample_value("imcnas_search_last_trial_timestamp_seconds", label)
    assert last == max(t.finished_at for t in trials)


def test_no_more_studies_have_gauges_than_allowed(
    metrics: SearcherMetrics, registry: CollectorRegistry, make_config: Callable[..., StudyConfig]
) -> None:
    for n in range(MAX_STUDIES + 5):
        config = make_config(name=f"study{n}")
        metrics.tell(SearchStarted(study_id=config.name, config=config, trials=(), trials_wanted=1))
    assert generate_latest(registry).count(b"imcnas_search_pareto_points{") == MAX_STUDIES
