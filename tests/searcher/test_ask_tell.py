import pytest

from services.common.errors import InvalidRequest, NotFound
from services.common.layers import Shape
from services.common.space import load_space
from services.searcher.ask_tell import AskTell
from services.searcher.propose import SpaceExhausted
from services.searcher.types import HardwareLimits, Proposal, Strategy, TrialState

DIGITS = Shape(channels=1, height=8, width=8)


def make(objective="accuracy/latency", **settings):
    return AskTell(DIGITS, 10, objective, **{"startup_trials": 3} | settings)


@pytest.mark.parametrize("strategy", Strategy)
def test_every_strategy_asks_for_networks_and_ranks_what_it_is_told(strategy):
    search = make(strategy=strategy)
    for i in range(8):
        trial = search.ask()
        assert trial.state is TrialState.RUNNING
        assert trial.cost.latency_ns > 0
        search.tell(trial.number, 0.5 + 0.01 * i, images=500)
    assert len({trial.network_key for trial in search.trials}) == 8
    best = search.best
    assert best.fitness == pytest.approx(best.accuracy.accuracy_frac / (best.cost.latency_ns / 1e6))
    assert best.fitness == max(trial.fitness for trial in search.trials)
    assert search.trials[7] in search.front  # the most accurate


@pytest.mark.parametrize("strategy", Strategy)
def test_any_number_may_be_asked_for_before_one_is_told_and_told_in_any_order(strategy):
    search = make(strategy=strategy)
    asked = [search.ask() for _ in range(10)]
    for trial in reversed(asked):
        search.tell(trial.number, 0.5)
    assert all(trial.state is TrialState.COMPLETE for trial in search.trials)
    assert search.ask().number == 10


def test_a_trial_that_failed_teaches_nothing_and_is_not_asked_for_again():
    search = make(space=load_space("small"))
    first = search.ask()
    search.tell_failure(first.number, "it diverged")
    assert search.best is None
    assert first.network_key not in {search.ask().network_key for _ in range(10)}


def test_what_is_enqueued_comes_first_where_it_is_within_the_limits():
    space = load_space("small")
    asked = tuple(space.candidate(space.candidate_at(i).blocks) for i in (0, 800, 5))
    search = make(enqueued=asked, hardware_limits=HardwareLimits(max_latency_ns=200_000))
    trials = [search.ask() for _ in range(4)]
    assert [t.candidate == c for t, c in zip(trials, asked, strict=False)] == [True, False, True]
    assert [t.proposal is Proposal.ENQUEUED for t in trials] == [True, False, True, False]
    assert trials[1].infeasible_proposals >= 1


def test_an_enqueued_network_that_the_space_has_not_is_refused_by_its_place():
    with pytest.raises(InvalidRequest, match=r"enqueued\[0\]\.blocks\[0\]\.kernels: got 512"):
        make(enqueued=(load_space("paper").candidate_at(5),))


def test_limits_that_leave_nothing_say_so_with_an_example():
    search = make(hardware_limits=HardwareLimits(max_tiles=1))
    with pytest.raises(SpaceExhausted, match="tiles, max_tiles is 1 tiles"):
        search.ask()


def test_what_cannot_be_told_is_refused_by_what_is_wrong():
    search = make()
    trial = search.ask()
    with pytest.raises(InvalidRequest, match=r"accuracy_frac: got 81\.5, wanted 0 to 1"):
        search.tell(trial.number, 81.5)
    with pytest.raises(NotFound, match="number: got 7, wanted that of a trial, 0 to 0"):
        search.tell(7, 0.5)
