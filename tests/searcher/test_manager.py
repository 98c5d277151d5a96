import threading
import time
from itertools import islice

import pytest

from services.common.errors import NotFound, StudyConflict, TrainingFailed, Unavailable
from services.searcher.events import TrialFinished
from services.searcher.manager import SearchManager
from services.searcher.types import StudyState
from tests.trainer.evaluators import Scripted


class Oracle:
    def __init__(self, world):
        self.world = world

    def evaluate(self, layers, chip):
        return self.world.cost(layers)


@pytest.fixture
def open_manager(tmp_path, world):
    managers = []

    def make(**options):
        trainer = options.pop("trainer", world)
        managers.append(SearchManager(tmp_path / "studies.db", Oracle(world), trainer, **options))
        return managers[-1]

    yield make
    for manager in managers:
        manager.close()


@pytest.fixture
def gate(world):
    """Training waits until the test opens the gate; `reached` says that one waits."""

    class Gate:
        opened, reached = threading.Event(), threading.Event()

        def wait(self, request):
            self.reached.set()
            self.opened.wait()

    made = Gate()
    world.before = made.wait
    yield made
    made.opened.set()


def test_a_search_runs_in_the_background_until_it_is_finished(open_manager, make_config, gate):
    manager = open_manager()
    study_id = manager.create(make_config(), 5)
    assert manager.status(study_id).state is StudyState.RUNNING
    gate.opened.set()
    assert [t.number for t in manager.watch(study_id)] == [0, 1, 2, 3, 4]
    status = manager.status("test")
    assert (status.state, status.complete) == (StudyState.FINISHED, 5)
    assert [s.study_id for s in manager.studies()] == [study_id]
    assert manager.trials(study_id, 3)[0].number == 3
    assert manager.trial(study_id, 4).fitness == manager.trials(study_id)[4].fitness


def test_a_watcher_that_was_cut_off_goes_on_with_its_cursor(open_manager, make_config):
    manager = open_manager(workers=2)
    study_id = manager.create(make_config(), 7)
    first = list(islice(manager.watch(study_id), 3))
    rest = list(manager.watch(study_id, cursor=3))
    assert sorted(t.number for t in (*first, *rest)) == list(range(7))


def test_waiting_for_trials_ends_with_empty_hands_when_its_time_is_up(open_manager, make_config, gate):
    manager = open_manager()
    study_id = manager.create(make_config(), 2)
    assert manager.finished_trials(study_id, 0, wait_s=0.01) == ((), False)


def test_creating_a_running_study_again_joins_it_and_may_want_more(open_manager, make_config, gate):
    manager = open_manager()
    study_id = manager.create(make_config(), 2)
    assert manager.create(make_config(), 4) == study_id
    gate.opened.set()
    assert len(list(manager.watch(study_id))) == 4


def test_other_settings_under_the_same_name_are_refused(open_manager, make_config):
    manager = open_manager()
    manager.create(make_config(), 1)
    with pytest.raises(StudyConflict):
        manager.create(make_config(seed=3), 1)


def test_a_cancelled_search_ends_after_what_runs_and_can_go_on(open_manager, make_config, gate):
    manager = open_manager()
    study_id = manager.create(make_config(), 30)
    assert gate.reached.wait(20)
    manager.cancel(study_id)
    gate.opened.set()
    assert len(list(manager.watch(study_id))) == 1
    assert manager.status(study_id).state is StudyState.CANCELLED
    manager.cancel(study_id)  # has ended already: nothing happens
    manager.create(make_config(), 3)
    assert len(list(manager.watch(study_id))) == 3


def test_a_closed_manager_leaves_its_searches_to_the_next_one(open_manager, make_config, gate, world):
    manager = open_manager()
    study_id = manager.create(make_config(), 3)
    assert gate.reached.wait(20)
    manager.close()
    with pytest.raises(Unavailable):
        manager.create(make_config(), 3)
    world.before = lambda request: None
    again = open_manager()
    assert len(list(again.watch(study_id))) == 3
    assert again.status(study_id).state is StudyState.FINISHED


def test_closing_ends_a_watch(open_manager, make_config, gate):
    manager = open_manager()
    study_id = manager.create(make_config(), 3)
    seen = []
    watcher = threading.Thread(target=lambda: seen.extend(manager.finished_trials(study_id, 0, 60.0)))
    watcher.start()
    assert gate.reached.wait(20)
    for _, stop in manager._running.values():
        stop.abandon()
    watcher.join(20)
    assert seen == [(), True]


def test_a_finished_search_is_not_started_again(open_manager, make_config, world):
    manager = open_manager()
    list(manager.watch(manager.create(make_config(), 2)))
    manager.close()
    world.trained.clear()
    assert list(open_manager().watch("test", cursor=2)) == []
    assert world.trained == []


def test_a_search_that_fails_says_why(open_manager, make_config, world):
    def fail(request):
        raise TrainingFailed("no memory")

    world.before = fail
    manager = open_manager()
    study_id = manager.create(make_config(), 20)
    assert len(list(manager.watch(study_id))) == 5
    status = manager.status(study_id)
    assert (status.state, status.failed) == (StudyState.FAILED, 5)
    assert "no memory" in status.failure


def test_events_of_every_search_are_passed_on(open_manager, make_config):
    events = []
    manager = open_manager(on_event=events.append)
    for name in ("a", "b"):
        list(manager.watch(manager.create(make_config(name=name), 2)))
    assert len({e.study_id for e in events if isinstance(e, TrialFinished)}) == 2


def test_an_unknown_study_is_not_found(open_manager):
    manager = open_manager()
    for call in (manager.status, manager.trials, manager.cancel, lambda s: next(manager.watch(s))):
        with pytest.raises(NotFound, match="no study 'nobody'"):
            call("nobody")


def test_a_data_set_is_described_as_the_trainer_does(open_manager, world):
    assert open_manager().dataset("mine") == world.dataset("mine")


def test_searches_share_a_trainer_fairly(open_manager, make_config, world):
    order = []

    class OneSlot(Scripted):
        """One training at a time; the others wait in the order in which they came."""

        def __init__(self):
            super().__init__(self.train)

        def train(self, job):
            order.append(job.request.request_id.rpartition("-")[0])
            until = time.monotonic() + 0.3
            while not self.queue_length and time.monotonic() < until:  # the other search asks meanwhile
                time.sleep(0.001)
            yield world.evaluate(job.request, lambda epoch: None)

    with OneSlot() as trainer:
        manager = open_manager(trainer=trainer)
        long = manager.create(make_config(name="long"), 12)
        while not order:
            time.sleep(0.001)
        short = manager.create(make_config(name="short", seed=1), 5)
        list(manager.watch(short))
        list(manager.watch(long))
    begun = order.index(short)
    ended = len(order) - 1 - order[::-1].index(short)
    assert order[begun : ended + 1].count(long) in (3, 4, 5)  # by turns
