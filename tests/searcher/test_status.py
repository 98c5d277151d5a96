import pytest

from services.searcher.loop import run_search
from services.searcher.ranking import trial_front
from services.searcher.status import latency_hypervolume, study_status


@pytest.fixture
def trials(store, make_config, world):
    study = store.open_study(make_config(objective="accuracy"), 10)
    run_search(store, study, cost=world.cost, trainer=world)
    return store.trials(study)


def test_the_front_is_listed_by_rising_latency_and_nothing_beats_it(trials, make_config):
    def three(trial):
        return trial.cost.latency_ns, trial.cost.energy_nj, -trial.accuracy.accuracy_frac

    front = trial_front(make_config(objective="accuracy"), trials)
    latencies = [t.cost.latency_ns for t in front]
    assert latencies == sorted(latencies)
    for trial in trials:
        beaten = any(
            three(t) != three(trial) and all(a <= b for a, b in zip(three(t), three(trial), strict=True))
            for t in trials
        )
        assert (trial in front) is not beaten


def test_a_status_counts_trials_and_keeps_what_ended_the_search(store, trials):
    store.set_state(store.study("test").study_id, store.study("test").state, failure="f", note="n")
    status = study_status(store.study("test"), trials)
    assert (status.complete, status.failed, status.running) == (10, 0, 0)
    assert (status.failure, status.note) == ("f", "n")


def test_hypervolume_of_one_trial_is_its_accuracy_times_the_latency_it_saves(trials):
    trial = trials[0]
    reference_ns = 4 * trial.cost.latency_ns
    volume = latency_hypervolume([trial], reference_ns)
    assert volume == pytest.approx(trial.accuracy.accuracy_frac * 0.75)
    assert latency_hypervolume(trials, reference_ns) >= volume
    assert latency_hypervolume([], reference_ns) == 0.0
