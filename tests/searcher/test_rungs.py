from dataclasses import replace

import pytest

from services.common.errors import InvalidRequest, TrainingFailed
from services.searcher.loop import StopSignal, run_search
from services.searcher.rungs import mean_epochs
from services.searcher.types import OnChip, TrialState
from services.trainer.types import Schedule, TrainRecipe

STAGED = TrainRecipe(name="staged", epochs=54, schedule=Schedule.CONSTANT)
RUNGS = {"recipe": STAGED, "rungs": (6, 18), "objective": "accuracy"}


@pytest.fixture
def budgets(world, monkeypatch):
    """Which budgets were asked for, by request id; accuracies rise with them."""
    asked, evaluate = [], type(world).evaluate

    def train(request, on_epoch):
        asked.append((request.request_id, request.epochs))
        report = evaluate(world, request, on_epoch)
        return replace(report, accuracy_frac=report.accuracy_frac * (1 - 1 / (request.epochs + 1)))

    monkeypatch.setattr(world, "evaluate", train)
    return asked


def search(store, config, world, trials, **options):
    study = store.open_study(config, trials)
    run_search(store, study, cost=world.cost, trainer=world, **options)
    return study, store.trials(study)


def test_only_the_best_third_at_each_rung_is_trained_on(store, make_config, world, budgets):
    _, trials = search(store, make_config(**RUNGS), world, 30)
    reached = {
        epochs: [t for t in trials if len(t.rung_accuracies_frac) >= i] for i, epochs in ((1, 6), (2, 18))
    }
    ended = [epochs for _, epochs in budgets if epochs == 54]
    assert len(reached[6]) == 30
    assert 1 <= len(ended) < len(reached[18]) < 20
    for trial in trials:
        assert trial.state is TrialState.COMPLETE
        assert trial.fitness == trial.accuracy.accuracy_frac  # at the last budget it had


def test_a_trial_goes_on_if_few_of_those_so_far_are_better(store, make_config, world, budgets):
    _, trials = search(store, make_config(**RUNGS), world, 12)
    came: list[float] = []
    for trial in trials:  # one worker: they came in this order
        accuracy_frac, *later = trial.rung_accuracies_frac
        came.append(accuracy_frac)
        better = sum(other > accuracy_frac for other in came)
        assert bool(later) == (better < -(-len(came) // 3))


def test_a_resumed_search_decides_as_the_unbroken_one(store, make_config, world, budgets):
    config = make_config(**RUNGS)
    _, whole = search(store, config, world, 16)
    unbroken = list(dict.fromkeys(budgets))
    budgets.clear()
    stop, again = StopSignal(), replace(config, name="again")

    def fail_once(request):
        if request.request_id.endswith("-7-6") and not stop.requested:
            stop.abandon()

    world.before = fail_once
    search(store, again, world, 16, stop=stop)
    _, resumed = search(store, again, world, 16)
    assert [(t.candidate, t.rung_accuracies_frac, t.fitness) for t in resumed] == [
        (t.candidate, t.rung_accuracies_frac, t.fitness) for t in whole
    ]
    assert [epochs for _, epochs in dict.fromkeys(budgets)] == [epochs for _, epochs in unbroken]


def test_a_trial_that_fails_later_does_not_count_at_its_rungs(store, make_config, world, budgets):
    def fail(request):
        if request.epochs == 18:
            raise TrainingFailed("diverged")

    world.before = fail
    _, trials = search(store, make_config(**RUNGS), world, 4)
    assert trials[0].state is TrialState.FAILED
    assert trials[0].rung_accuracies_frac == ()


def test_the_mean_number_of_epochs_is_that_of_a_third_at_each_rung(make_config):
    assert mean_epochs(make_config(**RUNGS)) == pytest.approx(6 + 12 / 3 + 36 / 9)
    assert mean_epochs(make_config(recipe=STAGED)) == 54


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rungs": (18, 6)}, r"rungs\[1\]: got 6, wanted rising"),
        ({"rungs": (54,)}, r"rungs\[0\]: got 54, wanted .* fewer than the recipe's 54"),
        ({"rungs": (0,)}, r"rungs\[0\]: got 0"),
        ({"recipe": TrainRecipe(name="quick", epochs=20)}, "take a continuable recipe"),
        ({"on_chip": OnChip()}, "none where the accuracy is that on the chip"),
    ],
)
def test_rungs_that_cannot_be_are_refused(make_config, changes, told):
    with pytest.raises(InvalidRequest, match=told):
        make_config(**(RUNGS | changes))
