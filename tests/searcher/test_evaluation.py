from dataclasses import replace

import pytest

from services.common.errors import InvalidRequest
from services.searcher.evaluation import evaluate_trial
from services.searcher.loop import run_search
from services.searcher.ranking import fitness_of
from services.searcher.rungs import Rungs
from services.searcher.types import OnChip, TrialState
from services.trainer.types import stderr_frac


@pytest.fixture
def searched(store, make_config, world):
    def search(trials=4, **changes):
        study = store.open_study(make_config(**changes), trials)
        run_search(store, study, cost=world.cost, trainer=world)
        return study, store.trials(study)

    return search


def test_a_study_on_the_chip_goes_by_the_mean_accuracy_of_its_drawn_chips(searched):
    study, trials = searched(on_chip=OnChip(draws=3))
    for trial in trials:
        float_frac = trial.accuracy.accuracy_frac
        assert trial.on_chip.draws_frac == pytest.approx([float_frac - 0.01 * n for n in (1, 2, 3)])
        assert trial.accuracy_frac == pytest.approx(float_frac - 0.02)
        assert trial.accuracy_stderr_frac == stderr_frac(trial.accuracy_frac, 100)
        expected = fitness_of(study.config, trial.candidate, trial.cost, trial.accuracy_frac)
        assert trial.fitness == pytest.approx(expected)


def test_without_a_chip_it_goes_by_the_accuracy_in_floating_point(searched):
    _, trials = searched()
    for trial in trials:
        assert trial.on_chip is None
        assert (trial.accuracy_frac, trial.accuracy_stderr_frac) == (
            trial.accuracy.accuracy_frac, trial.accuracy.accuracy_stderr_frac,
        )  # fmt: skip


def test_the_chip_that_judges_is_the_studys_own(make_config, world, searched):
    _, (trial, *_) = searched(on_chip=OnChip(draws=2, images=50, fine_tune_epochs=4))
    asked = []

    def evaluate_on_chip(request, on_epoch):
        asked.append(request)
        return type(world).evaluate_on_chip(world, request, on_epoch)

    world.evaluate_on_chip = evaluate_on_chip
    config = make_config(on_chip=OnChip(draws=2, images=50, fine_tune_epochs=4))
    told = evaluate_trial(
        config, replace(trial, state=TrialState.RUNNING), world, lambda epoch: None, Rungs(config)
    )
    (request,) = asked
    assert (request.draws, request.images, request.fine_tune_epochs) == (2, 50, 4)
    assert (request.analog.rows, request.analog.adc_bits) == (256, 6)  # MNSIM's default chip
    assert request.evaluation.request_id == trial.request_id
    assert told == replace(trial, evaluate_s=told.evaluate_s, finished_at=told.finished_at)


def test_an_objective_without_a_value_fails_the_trial_alone(searched):
    _, trials = searched(objective="log(accuracy - 0.9)")
    failed = [trial for trial in trials if trial.state is TrialState.FAILED]
    assert failed
    assert all("has no value at accuracy" in trial.failure for trial in failed)


def test_no_chips_are_refused_by_the_field():
    with pytest.raises(InvalidRequest, match=r"on_chip\.draws: got 0, wanted an integer from 1"):
        OnChip(draws=0)
