"""One process at a time runs a study, and what was left behind is taken over."""

import os
import socket
import subprocess
import sys

import pytest

from services.common.errors import StudyConflict, Unavailable
from services.searcher import loop, manager
from services.searcher.lease import is_live, new_owner
from services.searcher.loop import run_search
from services.searcher.manager import SearchManager
from services.searcher.store import Store
from services.searcher.types import StudyState


@pytest.fixture
def where(each_database):
    return each_database


@pytest.fixture
def open_store(where):
    stores = []

    def make():
        stores.append(Store(where))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


class Oracle:
    def __init__(self, world):
        self.world = world

    def evaluate(self, layers, chip):
        return self.world.cost(layers)


def test_a_study_that_is_searched_is_refused_to_a_second_process_which_changes_nothing(
    open_store, make_config
):
    first, second = open_store(), open_store()
    study = first.open_study(make_config(), 9)
    with pytest.raises(StudyConflict, match=f"searched by process {os.getpid()} on {socket.gethostname()}"):
        second.open_study(make_config(), 20)
    assert (second.study("test").trials_wanted, second.study("test").state) == (9, StudyState.RUNNING)
    first.release(study.study_id)
    assert second.study("test").state is StudyState.INTERRUPTED
    assert second.open_study(make_config(), 20).trials_wanted == 20


def test_trials_of_a_running_study_are_never_cut_down_and_of_another_only_to_those_made(
    open_store, make_config, world
):
    store = open_store()
    study = store.open_study(make_config(), 4)
    assert store.open_study(make_config(), 2).trials_wanted == 4
    run_search(store, study, cost=world.cost, trainer=world)
    assert store.open_study(make_config(), 1).trials_wanted == 4
    assert store.study("test").state is StudyState.RUNNING


def test_a_lease_ends_with_its_process_and_elsewhere_with_its_time():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    now = 1000.0
    soon, past = now + 20, now - 1
    here = new_owner().partition(":")[0]
    gone = f"{here}:{ended.pid}:x"
    assert is_live(new_owner(), soon, now)
    assert not is_live(new_owner(), past, now)
    assert not is_live(gone, soon, now)
    assert is_live(f"elsewhere:{ended.pid}:x", soon, now)
    assert not is_live(f"elsewhere:{ended.pid}:x", past, now)
    assert not is_live(None, None, now)


def test_a_search_renews_its_lease_and_stops_when_somebody_else_took_it(
    open_store, sql, make_config, world, monkeypatch
):
    monkeypatch.setattr(loop, "RENEW_S", 0.0)
    ours = open_store()
    study = ours.open_study(make_config(), 50)

    def steal(event):
        sql("UPDATE studies SET owner = 'elsewhere:1:x', lease_until = 9e9")

    world.before = steal
    with pytest.raises(StudyConflict, match="is being searched by process 1 on elsewhere"):
        run_search(ours, study, cost=world.cost, trainer=world)
    assert len(ours.trials(study)) == 1
    with pytest.raises(StudyConflict):  # ... and did not let go of what it had lost
        ours.acquire(study.study_id)


def test_whoever_lost_a_study_says_nothing_of_how_it_stands(open_store, sql, make_config, world):
    ours = open_store()
    study = ours.open_study(make_config(), 5)

    def cost(network):
        sql("UPDATE studies SET owner = 'elsewhere:1:x', lease_until = 9e9")
        return world.cost(network)

    with pytest.raises(StudyConflict, match="is being searched by process 1 on elsewhere"):
        run_search(ours, study, cost=cost, trainer=world)
    assert (ours.study("test").state, ours.study("test").failure) == (StudyState.RUNNING, "")


def test_a_service_goes_on_with_its_own_studies_and_leaves_the_commands_alone(
    open_store, where, make_config, world
):
    store = open_store()
    for name, served in (("mine", False), ("theirs", True)):
        store.release(store.open_study(make_config(name=name), 3, served=served).study_id)
    service = SearchManager(where, Oracle(world), world)
    assert len(list(service.watch("theirs"))) == 3
    assert service.status("theirs").state is StudyState.FINISHED
    assert (service.status("mine").state, service.trials("mine")) == (StudyState.INTERRUPTED, ())
    service.close()


def test_a_service_waits_for_a_trainer_that_is_away_and_says_so_meanwhile(
    where, make_config, world, monkeypatch
):
    monkeypatch.setattr(manager, "AWAY_S", 0.01)
    away, told = [3], []

    def before(request):
        if away[0]:
            away[0] -= 1
            raise Unavailable("nothing answers at 127.0.0.1:50061")

    world.before = before
    service = SearchManager(
        where,
        Oracle(world),
        world,
        on_event=lambda event: told.append(type(event).__name__),
    )
    study_id = service.create(make_config(), 3)
    assert len(list(service.watch(study_id))) == 3
    status = service.status(study_id)
    assert (status.state, status.complete, status.failure) == (StudyState.FINISHED, 3, "")
    assert told.count("SearchStarted") == 4
    service.close()
