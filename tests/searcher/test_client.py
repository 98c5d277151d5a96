"""One searcher, wherever it is: in this process and over gRPC it searches, reports and refuses alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from services.common.errors import InvalidRequest, NotFound, StudyConflict, Unavailable
from services.common.pb.imcnas.v1 import searcher_pb2 as pb
from services.common.pb.imcnas.v1.searcher_pb2_grpc import add_SearcherServiceServicer_to_server
from services.common.rpc.server import RpcServer
from services.common.settings import SearcherSettings
from services.searcher.client import Searcher
from services.searcher.manager import SearchManager
from services.searcher.server import SERVICE, SearcherServicer, searcher_server
from services.searcher.types import StudyConfig, StudyState, TrialState


@pytest.fixture
def manager(tmp_path: Path, world: Any) -> Iterator[SearchManager]:
    oracle = SimpleNamespace(evaluate=lambda layers, chip: world.cost(layers))
    manager = SearchManager(tmp_path / "studies.db", oracle, world)
    yield manager
    manager.close()


@pytest.fixture(params=["in process", "over gRPC"])
def searcher(
    request: pytest.FixtureRequest, manager: SearchManager, host: Any, any_ports: dict[str, Any]
) -> Iterator[SearchManager | Searcher]:
    if request.param == "in process":
        yield manager
    else:
        ports = host.start(searcher_server(manager, SearcherSettings(**any_ports)))
        with Searcher(f"127.0.0.1:{ports.calls}") as searcher:
            yield searcher


def test_a_study_is_created_watched_to_its_end_and_told(
    searcher: SearchManager | Searcher, make_config: Callable[..., StudyConfig]
) -> None:
    config = make_config(name="whole")
    study_id = searcher.create(config, 6)
    trials = list(searcher.watch(study_id))
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 6
    status = searcher.status("whole")
    assert (status.study_id, status.config, status.state) == (study_id, config, StudyState.FINISHED)
    assert status.complete == 6
    assert status.best in trials
    assert set(status.front) <= set(trials)


def test_a_watch_goes_on_behind_its_cursor(
    searcher: SearchManager | Searcher, make_config: Callable[..., StudyConfig]
) -> None:
    study_id = searcher.create(make_config(name="cursor"), 5)
    trials = list(searcher.watch(study_id))
    assert list(searcher.watch(study_id, 3)) == trials[3:]
    assert list(searcher.watch(study_id, 5)) == []


def test_equal_settings_are_the_same_study_and_others_conflict(
    searcher: SearchManager | Searcher, make_config: Callable[..., StudyConfig]
) -> None:
    study_id = searcher.create(make_config(name="same"), 3)
    assert searcher.create(make_config(name="same"), 3) == study_id
    with pytest.raises(StudyConflict, match="same"):
        searcher.create(make_config(name="same", seed=7), 3)


def test_a_cancelled_study_ends_early(
    searcher: SearchManager | Searcher, make_config: Callable[..., StudyConfig]
) -> None:
    study_id = searcher.create(make_config(name="cancelled"), 500)
    next(iter(searcher.watch(study_id)))
    searcher.cancel(study_id)
    assert len(list(searcher.watch(study_id))) < 500
    assert searcher.status(study_id).state is StudyState.CANCELLED


def test_what_does_not_exist_is_not_found(searcher: SearchManager | Searcher) -> None:
    for ask in (searcher.status, searcher.cancel, lambda study: list(searcher.watch(study))):
        with pytest.raises(NotFound, match="none"):
            ask("none")


def test_no_trials_are_refused(
    searcher: SearchManager | Searcher, make_config: Callable[..., StudyConfig]
) -> None:
    with pytest.raises(InvalidRequest, match="trials"):
        searcher.create(make_config(name="empty"), 0)


class BreaksOff(SearcherServicer):
    """Loses a watch after every second trial."""

    async def WatchSearch(self, request: Any, context: Any) -> Any:  # noqa: N802
        sent = 0
        async for response in super().WatchSearch(request, context):
            yield response
            sent += 1
            if sent == 2:
                raise Unavailable("the connection is gone")


def test_a_watch_that_breaks_is_resumed_and_no_trial_is_seen_twice(
    manager: SearchManager, make_config: Callable[..., StudyConfig], host: Any, any_ports: dict[str, Any]
) -> None:
    server = RpcServer(
        SERVICE,
        lambda s: add_SearcherServiceServicer_to_server(BreaksOff(manager), s),
        SearcherSettings(**any_ports),
        CollectorRegistry(),
    )
    with Searcher(f"127.0.0.1:{host.start(server).calls}") as searcher:
        searcher._remote._pause_s = 0.0
        study_id = searcher.create(make_config(name="broken"), 7)
        assert list(searcher.watch(study_id)) == list(manager.watch(study_id))


def test_a_cursor_below_0_is_an_invalid_argument(
    manager: SearchManager, host: Any, any_ports: dict[str, Any]
) -> None:
    ports = host.start(searcher_server(manager, SearcherSettings(**any_ports)))
    with Searcher(f"127.0.0.1:{ports.calls}") as searcher, pytest.raises(grpc.RpcError) as caught:
        list(searcher._stub.WatchSearch(pb.WatchSearchRequest(study_id="x", cursor=-1), timeout=10))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_client_that_is_closed_says_so() -> None:
    searcher = Searcher("127.0.0.1:1")
    searcher.close()
    with pytest.raises(Unavailable, match="is closed"):
        searcher.status("x")
    with pytest.raises(Unavailable, match="is closed"):
        next(searcher.watch("x"))
