import threading
from dataclasses import replace

import pytest

from services.common.candidate import BlockType
from services.common.errors import InvalidRequest, NotPossible, TrainingFailed, Unavailable
from services.common.space import SearchSpace
from services.searcher.events import (
    EpochDone,
    SearchFinished,
    SearchStarted,
    TrialFinished,
    TrialStarted,
)
from services.searcher.loop import StopSignal, run_search
from services.searcher.store import Store
from services.searcher.types import Strategy, StudyState, TrainingLimits, TrialState

TINY = SearchSpace(block_types=(BlockType.MVGG,), kernel_counts=(4, 8), min_depth=1, max_depth=2)


def number_of(request):
    return int(request.request_id.rpartition("-")[2])


def summary(trials):
    """What a trial is, without its times and the id of its study."""
    return [
        replace(t, ask_s=0.0, cost_s=0.0, evaluate_s=0.0, started_at=0.0, finished_at=0.0, request_id="")
        for t in trials
    ]


@pytest.fixture
def search(world):
    """Run a study of a store once."""

    def run(store, config, trials_wanted, **options):
        study = store.open_study(config, trials_wanted)
        return run_search(store, study, cost=world.cost, trainer=world, **options)

    return run


@pytest.fixture
def unbroken(tmp_path, make_config, search):
    """Trials of a search of 14 that nothing interrupts."""
    store = Store(tmp_path / "unbroken.db")
    search(store, make_config(), 14)
    trials = store.trials(store.study("test"))
    store.close()
    return summary(trials)


def test_a_search_makes_the_trials_wanted_and_names_the_best(store, make_config, search, world):
    status = search(store, make_config(), 12)
    trials = store.trials(store.study("test"))
    assert (status.state, status.complete, status.failed, status.running) == (StudyState.FINISHED, 12, 0, 0)
    assert [t.number for t in trials] == list(range(12))
    assert status.best.fitness == max(t.fitness for t in trials)
    assert status.best.number in {t.number for t in status.front}
    assert world.trained == [f"{status.study_id}-{n}" for n in range(12)]


def test_a_finished_study_goes_on_when_more_trials_are_wanted(store, make_config, search, unbroken):
    search(store, make_config(), 5)
    search(store, make_config(), 14)
    assert summary(store.trials(store.study("test"))) == unbroken


@pytest.mark.parametrize("broken", [0, 3, 4, 9])
def test_a_search_whose_process_died_goes_on_as_an_unbroken_one(
    tmp_path, make_config, search, unbroken, world, broken
):
    store = Store(tmp_path / "broken.db")
    stop = StopSignal()

    def die(request):
        if number_of(request) == broken:
            stop.abandon()
            threading.Event().wait()  # the training never ends, as far as this process can tell

    world.before = die
    world.trained.clear()
    status = search(store, make_config(), 14, stop=stop)
    assert (status.state, status.complete, status.running) == (StudyState.RUNNING, broken, 1)
    store.close()

    store = Store(tmp_path / "broken.db")
    world.before = lambda request: None
    status = search(store, make_config(), 14)
    assert summary(store.trials(store.study("test"))) == unbroken
    # each once, and the broken one under its old id
    assert world.trained == [f"{status.study_id}-{n}" for n in range(14)]
    store.close()


def test_what_was_running_is_evaluated_first_when_a_search_resumes(store, make_config, search, world):
    stop = StopSignal()
    barrier = threading.Barrier(3)

    def die(request):
        if barrier.wait() == 0:
            stop.abandon()
        threading.Event().wait()

    world.before = die
    assert search(store, make_config(), 6, workers=3, stop=stop).running == 3
    world.before = lambda request: None
    status = search(store, make_config(), 6)
    assert world.trained == [f"{status.study_id}-{n}" for n in range(6)]


def test_several_evaluations_are_in_flight(store, make_config, search, world):
    together = threading.Barrier(4)  # breaks, and fails the search, unless four meet
    world.before = lambda request: together.wait(timeout=20)
    assert search(store, make_config(), 8, workers=4).complete == 8


def test_a_trial_in_flight_is_in_the_file_before_it_is_trained(store, make_config, search, world):
    seen = []
    world.before = lambda request: seen.append(store.trial(store.study("test"), number_of(request)).state)
    search(store, make_config(), 3)
    assert seen == [TrialState.RUNNING] * 3


def test_a_failed_training_fails_its_trial_alone(store, make_config, search, world):
    def diverge(request):
        if number_of(request) == 2:
            raise TrainingFailed("loss is nan in epoch 3")

    world.before = diverge
    status = search(store, make_config(), 6)
    assert (status.state, status.complete, status.failed) == (StudyState.FINISHED, 5, 1)
    trial = store.trial(store.study("test"), 2)
    assert (trial.state, trial.failure) == (TrialState.FAILED, "loss is nan in epoch 3")
    assert (trial.fitness, trial.accuracy) == (None, None)


def test_a_search_stops_when_trainings_fail_one_after_the_other(store, make_config, search, world):
    def fail(request):
        raise TrainingFailed("disk full")

    world.before = fail
    with pytest.raises(TrainingFailed, match=r"the last 5 evaluations failed.*disk full"):
        search(store, make_config(), 20)
    record = store.study("test")
    assert (record.state, len(store.trials(record))) == (StudyState.FAILED, 5)
    assert "disk full" in record.failure


@pytest.mark.parametrize("error", [Unavailable("trainer: gone"), OSError("wire cut")])
def test_an_error_that_is_not_the_trials_own_leaves_it_to_a_later_run(
    store, make_config, search, world, unbroken, error
):
    def vanish(request):
        if number_of(request) == 5:
            raise error

    world.before = vanish
    with pytest.raises(type(error)):
        search(store, make_config(), 14)
    record = store.study("test")
    assert record.state is StudyState.FAILED
    assert str(error) in record.failure
    assert store.trial(record, 5).state is TrialState.RUNNING
    world.before = lambda request: None
    assert search(store, make_config(), 14).failure == ""
    assert summary(store.trials(record)) == unbroken


def test_an_oracle_that_is_gone_ends_the_search_after_what_runs(store, make_config, world):
    study = store.open_study(make_config(), 5)
    calls = []

    def cost(network):
        calls.append(network)
        if len(calls) == 3:
            raise Unavailable("oracle: gone")
        return world.cost(network)

    with pytest.raises(Unavailable):
        run_search(store, study, cost=cost, trainer=world, workers=3)
    assert [t.state for t in store.trials(study)] == [TrialState.COMPLETE] * 2


def test_a_stopped_search_ends_what_runs_and_asks_no_more(store, make_config, search, world, unbroken):
    stop = StopSignal()
    world.before = lambda request: stop.request() if number_of(request) == 3 else None
    status = search(store, make_config(), 14, stop=stop)
    assert (status.state, status.complete, status.running) == (StudyState.CANCELLED, 4, 0)
    search(store, make_config(), 14)
    assert summary(store.trials(store.study("test"))) == unbroken


def test_a_search_of_an_exhausted_space_finishes_early_and_says_so(store, make_config, search):
    # 2 blocks alone and 4 pairs of them
    status = search(store, make_config(space=TINY, startup_trials=2), 30)
    assert (status.state, status.complete) == (StudyState.FINISHED, 6)
    assert "all 6 configurations" in status.note
    assert store.study("test").note == status.note


def test_limits_that_no_candidate_meets_are_an_error(store, make_config, search, world):
    with pytest.raises(NotPossible, match=r"limits: .*max_macs is 10; raise the limits"):
        search(store, make_config(limits=TrainingLimits(max_macs=10)), 3)
    assert world.trained == []
    assert store.study("test").state is StudyState.FAILED


@pytest.mark.parametrize("strategy", Strategy)
def test_no_network_is_trained_twice(store, make_config, search, strategy):
    search(store, make_config(strategy=strategy, startup_trials=2), 40)
    keys = [t.network_key for t in store.trials(store.study("test"))]
    assert len(set(keys)) == 40


def test_every_event_is_told_in_order_in_the_callers_thread(store, make_config, search):
    events, threads = [], set()

    def listen(event):
        events.append(event)
        threads.add(threading.current_thread())

    search(store, make_config(), 2, on_event=listen)
    one = [TrialStarted, EpochDone, TrialFinished]
    assert [type(e) for e in events] == [SearchStarted, *one, *one, SearchFinished]
    assert [(e.trial.number, e.trial.state) for e in (events[1], events[3])] == [
        (0, TrialState.RUNNING),
        (0, TrialState.COMPLETE),
    ]
    assert threads == {threading.current_thread()}


def test_the_times_of_a_trial_are_recorded(store, make_config, search):
    search(store, make_config(), 1)
    trial = store.trial(store.study("test"), 0)
    assert min(trial.ask_s, trial.cost_s, trial.evaluate_s) > 0
    assert trial.finished_at >= trial.started_at > 0


def test_a_request_names_the_trial_and_carries_the_studys_recipe_and_seed(store, make_config, search, world):
    requests = []
    world.before = requests.append
    config = make_config(seed=11)
    status = search(store, config, 1)
    (request,) = requests
    assert request.request_id == f"{status.study_id}-0"
    assert (request.recipe, request.seed, request.dataset) == (config.recipe, 11, "digits")
    assert request.candidate == store.trial(store.study("test"), 0).candidate


def test_an_invalid_request_ends_the_search(store, make_config, search, world):
    def refuse(request):
        raise InvalidRequest("dataset: got 'digits'")

    world.before = refuse
    with pytest.raises(InvalidRequest):
        search(store, make_config(), 3)
