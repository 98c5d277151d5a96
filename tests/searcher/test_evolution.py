from functools import partial
from itertools import cycle
from random import Random

import pytest

from services.common.candidate import BlockType
from services.common.layers import Shape
from services.searcher.ask_tell import AskTell
from services.searcher.evolution import EvolutionStrategy, cross, mutations
from services.searcher.ranking import losses
from services.searcher.strategies import draw_blocks
from services.searcher.types import Strategy

DIGITS = Shape(channels=1, height=8, width=8)
FRONT = "pareto(accuracy,latency)"


TARGET = tuple(zip(cycle(BlockType), (16, 16, 32, 64, 128, 256, 512), strict=False))


def accuracy_of(candidate):
    """Share of the places that are as in one network which chance does not find."""
    pairs = zip(candidate.blocks, TARGET, strict=False)
    right = sum((block.type is type_) + (block.kernels == kernels) for block, (type_, kernels) in pairs)
    return right / (2 * len(TARGET))


def searched(strategy, seed, objective=FRONT, trials=60, space="paper"):
    search = AskTell(DIGITS, 10, objective, space=space, strategy=strategy, seed=seed, startup_trials=10)
    for _ in range(trials):
        trial = search.ask()
        search.tell(trial.number, accuracy_of(trial.candidate))
    return search


@pytest.fixture(scope="module")
def evolved():
    return searched(Strategy.EVOLUTION, 0)


@pytest.mark.parametrize("objective", ["accuracy", FRONT])
def test_evolution_goes_where_chance_does_not_come(objective):
    evolved, drawn = (
        [searched(strategy, seed, objective).best.fitness for seed in range(3)]
        for strategy in ("evolution", "random")
    )
    assert min(evolved) >= max(drawn)
    assert sum(evolved) > sum(drawn)


def test_a_proposal_depends_on_what_is_known_and_the_seed_alone(evolved):
    config = evolved.config
    first, second = (EvolutionStrategy(config.space, 10, partial(losses, config)) for _ in range(2))
    proposals = [first.ask(evolved.trials, seed) for seed in range(20)]
    assert [second.ask(evolved.trials, seed) for seed in reversed(range(20))] == proposals[::-1]
    assert len(set(proposals)) > 10


def test_before_enough_is_known_it_draws_as_chance_does(evolved):
    config = evolved.config
    strategy = EvolutionStrategy(config.space, 100, partial(losses, config))
    assert strategy.ask(evolved.trials, 3) == draw_blocks(config.space, Random(3))
    assert EvolutionStrategy(config.space, 1, partial(losses, config)).ask((), 3)


def test_children_are_of_the_space_and_refusals_lead_farther_away(evolved):
    config = evolved.config
    strategy = EvolutionStrategy(config.space, 10, partial(losses, config))
    parents = [trial.candidate.blocks for trial in evolved.trials]
    near = {blocks for parent in parents for blocks in mutations(config.space, parent)}
    first, late = ([strategy.ask(evolved.trials, seed, a) for seed in range(40)] for a in (0, 20))
    for blocks in (*first, *late):
        config.space.check(config.space.candidate(blocks))
    assert sum(b in near for b in first) > sum(b in near for b in late)


def test_a_crossed_network_begins_as_one_parent_and_ends_as_the_other(evolved):
    space, rng = evolved.config.space, Random(0)
    for _ in range(200):
        a, b = draw_blocks(space, rng), draw_blocks(space, rng)
        child = cross(space, a, b, rng)
        assert len(child) in space.depths
        assert any(
            child[:i] == a[:i] and child[i:] == b[len(b) - len(child) + i :] for i in range(len(child) + 1)
        )
