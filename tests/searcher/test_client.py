"""One searcher, wherever it is: in this process and over gRPC it searches, reports and refuses alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from services.common.errors import InvalidRequest, NotFound, NotPossible, StudyConflict, Unavailable
from services.common.pb.imcnas.v1 import searcher_pb2 as pb
from services.common.pb.imcnas.v1.searcher_pb2_grpc import add_SearcherServiceServicer_to_server
from services.common.rpc.server import RpcServer
from services.common.settings import SearcherSettings
from services.searcher import client
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


def test_studies_are_listed_and_their_trials_told_page_by_page(
    searcher: SearchManager | Searcher,
    make_config: Callable[..., StudyConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "MAX_PAGE", 2)
    for name in ("one", "two", "three"):
        list(searcher.watch(searcher.create(make_config(name=name), 5)))
    listed = searcher.studies()
    assert [(study.name, study.state, study.complete) for study in listed] == [
        (name, StudyState.FINISHED, 5) for name in ("one", "two", "three")
    ]
    trials = searcher.trials("two")
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4]
    assert searcher.trials(listed[1].study_id, 3) == trials[3:]
    assert searcher.trial("two", 4) == trials[4]  # of this world, costs have no layers
    with pytest.raises(NotFound, match="no trial 5"):
        searcher.trial("two", 5)


def test_a_front_is_told_in_the_quantities_asked_for(
    searcher: SearchManager | Searcher, make_config: Callable[..., StudyConfig]
) -> None:
    list(searcher.watch(searcher.create(make_config(), 12)))
    assert searcher.front("test") == searcher.status("test").front
    front = searcher.front("test", ("accuracy", "area"))
    areas = [trial.cost.area_um2 for trial in front]
    accuracies = [trial.accuracy_frac for trial in front]
    assert areas == sorted(areas)
    assert accuracies == sorted(accuracies)
    with pytest.raises(InvalidRequest, match="did you mean area"):
        searcher.front("test", ("accuracy", "aria"))
    with pytest.raises(InvalidRequest, match="one or more other quantities"):
        searcher.front("test", ("accuracy",))


def test_a_study_goes_on_with_its_own_settings_and_may_want_more(
    searcher: SearchManager | Searcher, make_config: Callable[..., StudyConfig]
) -> None:
    list(searcher.watch(searcher.create(make_config(), 3)))
    searcher.resume("test")
    list(searcher.watch("test"))
    assert searcher.status("test").complete == 3
    searcher.resume("test", 6)
    assert len(list(searcher.watch("test"))) == 6
    with pytest.raises(InvalidRequest, match="trials: got 0"):
        searcher.resume("test", 0)


def test_a_study_is_deleted_when_it_has_ended(
    searcher: SearchManager | Searcher, make_config: Callable[..., StudyConfig], world: Any
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def wait(request: Any) -> None:
        reached.set()
        go_on.wait(20)

    world.before = wait
    study_id = searcher.create(make_config(), 2)
    assert reached.wait(20)
    with pytest.raises(NotPossible, match="is running; cancel it"):
        searcher.delete("test")
    go_on.set()
    list(searcher.watch(study_id))
    searcher.delete("test")
    for look in (searcher.status, searcher.delete, searcher.resume, searcher.front, searcher.trials):
        with pytest.raises(NotFound, match="no study 'test'"):
            look("test")
    assert searcher.studies() == ()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"page_size": 0}, "page_size"), ({"page_size": 1001}, "page_size"),
        ({"page_token": "-1"}, "page_token"), ({"page_token": "9" * 40}, "page_token"),
    ],
)  # fmt: skip
def test_a_page_that_cannot_be_is_refused_by_its_field(
    manager: SearchManager, host: Any, any_ports: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    ports = host.start(searcher_server(manager, SearcherSettings(**any_ports)))
    with Searcher(f"127.0.0.1:{ports.calls}") as searcher, pytest.raises(InvalidRequest) as caught:
        searcher._remote.call(searcher._stub.ListSearches, pb.ListSearchesRequest(**changes))
    assert [v.field for v in caught.value.violations] == [field]
