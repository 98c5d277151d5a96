from dataclasses import replace
from functools import partial

import hyperopt
import numpy as np
import pytest

from services.common.candidate import Block, BlockType, candidate_layers
from services.searcher.space import blocks_of, hyperopt_domain
from services.searcher.tpe import TpeStrategy
from services.searcher.types import Proposal, Trial, TrialState


@pytest.fixture
def make_history(world, make_config):
    config = make_config()

    def make(size, fitness_of):
        history = []
        for number in range(size):
            candidate = config.space.candidate_at(number * 31 % config.space.count())
            trial = Trial(
                number=number,
                candidate=candidate,
                network_key=str(number),
                state=TrialState.COMPLETE,
                proposal=Proposal.STRATEGY,
                attempt=0,
                infeasible_proposals=0,
                duplicate_proposals=0,
                cost=world.cost(candidate_layers(candidate, config.dataset.input_shape, 10)),
                fitness=fitness_of(candidate),
            )
            history.append(trial)
        return history

    return make


@pytest.fixture
def space(make_config):
    return make_config().space


def make_tpe(space, startup_trials):
    """Make the strategy that maximises the fitness."""
    return TpeStrategy(
        space, startup_trials, lambda trials: {t.number: -t.fitness for t in trials if t.fitness is not None}
    )


def running(trial):
    return replace(trial, state=TrialState.RUNNING, fitness=None)


def failed(trial):
    return replace(trial, state=TrialState.FAILED, fitness=None)


def asked(strategy, history, count=20):
    return [strategy.ask(history, seed) for seed in range(count)]


def test_the_model_learns_which_blocks_are_good(space, make_history):
    # Only residual blocks are worth anything: at random a third of the blocks are.
    history = make_history(60, lambda c: sum(b.type is BlockType.RES for b in c.blocks) / len(c.blocks))
    blocks = [block for proposal in asked(make_tpe(space, 10), history) for block in proposal]
    assert sum(b.type is BlockType.RES for b in blocks) / len(blocks) > 0.6


def test_proposals_are_plain_python_values(space, make_history):
    proposal = make_tpe(space, 1).ask(make_history(5, lambda c: 1.0), 3)
    assert all(type(b) is Block and type(b.kernels) is int for b in proposal)


def test_complete_and_running_trials_count_as_start_up_and_failed_ones_do_not(space, make_history):
    history = make_history(6, lambda c: 1.0)
    strategy = make_tpe(space, 6)
    startup = asked(strategy, [])
    assert asked(strategy, history[:5]) == startup
    assert asked(strategy, [*history[:5], failed(history[5])]) == startup
    assert asked(strategy, [*history[:5], running(history[5])]) != startup


def test_failed_trials_are_not_told_to_the_model(space, make_history):
    history = make_history(13, lambda c: float(len(c.blocks)))
    # The answer may depend on how many trials there are (the new one's number), not on what failed.
    other = replace(failed(history[12]), candidate=space.candidate_at(5))
    strategy = make_tpe(space, 4)
    assert asked(strategy, [*history[:12], failed(history[12])]) == asked(strategy, [*history[:12], other])


def test_running_trials_change_the_proposals(space, make_history):
    history = make_history(30, lambda c: float(sum(b.kernels for b in c.blocks)))
    best = max(history, key=lambda t: t.fitness)
    lying = [running(t) if t is best else t for t in history]
    assert asked(make_tpe(space, 4), lying) != asked(make_tpe(space, 4), history)


def test_a_search_with_nothing_finished_still_gets_proposals(space, make_history):
    history = [running(t) for t in make_history(8, lambda c: 1.0)]
    assert all(len(p) in space.depths for p in asked(make_tpe(space, 2), history, 5))


def test_documents_grow_as_the_search_does_and_give_what_a_new_start_gives(space, make_history):
    history = make_history(25, lambda c: 1.0 / sum(b.kernels for b in c.blocks))
    seasoned = make_tpe(space, 4)
    for size in range(len(history)):
        flight = [*history[:size], running(history[size])]
        if size % 5 == 4:
            flight[size - 1] = history[size - 1] = failed(history[size - 1])
        seasoned.ask(flight, size)
    assert asked(seasoned, history) == asked(make_tpe(space, 4), history)


def test_a_refused_proposal_is_followed_by_others(space, make_history):
    history = make_history(30, lambda c: float(sum(b.kernels for b in c.blocks)))
    strategy = make_tpe(space, 4)
    stubborn = {strategy.ask(history, seed) for seed in range(20)}
    varied = {strategy.ask(history, seed, attempt=seed) for seed in range(20)}
    assert len(varied) > 2 * len(stubborn)


def test_a_proposal_is_the_one_that_hyperopts_own_loop_would_get(space, make_history):
    """Hyperopt's fmin makes its own documents of 25 evaluations; ours of the same must give the same next."""
    domain = hyperopt_domain(space)

    def loss(choice):
        return -sum(kernels for _, kernels in choice)

    theirs = hyperopt.Trials()
    hyperopt.fmin(
        loss, domain.expr, partial(hyperopt.tpe.suggest, n_startup_jobs=25), 25, trials=theirs, verbose=False,
        rstate=np.random.default_rng(7), show_progressbar=False,
    )  # fmt: skip
    chosen = [{k: v[0] for k, v in m["vals"].items() if len(v)} for m in theirs.miscs]
    ours = [
        replace(trial, candidate=space.candidate(blocks_of(space, point)), fitness=-float(result["loss"]))
        for trial, point, result in zip(make_history(25, lambda c: 0.0), chosen, theirs.results, strict=True)
    ]
    strategy = make_tpe(space, 25)
    proposals = set()
    for seed in range(5):
        (document,) = hyperopt.tpe.suggest([25], domain, theirs, seed, n_startup_jobs=0, verbose=False)
        point = {k: v[0] for k, v in document["misc"]["vals"].items() if len(v)}
        assert strategy.ask(ours, seed) == blocks_of(space, point)
        proposals.add(blocks_of(space, point))
    assert len({strategy.ask(ours, seed, attempt=4) for seed in range(20)}) > len(proposals)
