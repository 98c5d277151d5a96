"""Evolution of networks: the good ones have children, which are crossed and changed a little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from services.common.candidate import Block
from services.common.space import SearchSpace
from services.searcher.strategies import Losses, draw_blocks
from services.searcher.types import Trial, TrialState

POPULATION = 20
"""Parents: the trials of the lowest loss. There are no generations, so any number may be in flight."""

CROSSOVER_FRAC = 0.5
"""Share of the children with two parents."""

NEWCOMERS_FRAC = 0.1
"""Share of the proposals that are drawn, so that no end of a front is lost for good."""

CHANGES_EVERY = 5
"""Refused attempts after which a child is changed in one place more."""


class EvolutionStrategy:
    """Chooses parents by binary tournaments among the best, as NSGA-II does (Deb et al., 2002).

    For a front the losses are ranks, so that parents spread over it.

    Parameters
    ----------
    space : SearchSpace
    startup_trials : int
        Random trials before the first child; complete and running ones count.
    losses : callable
        Given trials, what is minimised, by the numbers of those that are complete.
    """

    def __init__(
        self,
        space: SearchSpace,
        startup_trials: int,
        losses: Losses,
    ) -> None:
        self._space = space
        self._startup_trials = startup_trials
        self._losses = losses

    def ask(self, history: Sequence[Trial], seed: int, attempt: int = 0) -> tuple[Block, ...]:
        """Propose a child; it depends on the arguments alone."""
        rng = Random(seed)
        losses = self._losses(history)
        begun = sum(trial.state is not TrialState.FAILED for trial in history)
        if begun < self._startup_trials or not losses or rng.random() < NEWCOMERS_FRAC:
            return draw_blocks(self._space, rng)
        parents = sorted(losses, key=lambda number: (losses[number], number))[:POPULATION]

        def parent() -> tuple[Block, ...]:
            place = min(rng.randrange(len(parents)), rng.randrange(len(parents)))
            return history[parents[place]].candidate.blocks

        child = parent()
        if rng.random() < CROSSOVER_FRAC:
            child = cross(self._space, child, parent(), rng)
        for _ in range(1 + attempt // CHANGES_EVERY):
            child = change(self._space, child, rng)
        return child


def cross(
    space: SearchSpace, first: tuple[Block, ...], second: tuple[Block, ...], rng: Random
) -> tuple[Block, ...]:
    """Put the beginning of one network before the end of another, cut where the depth is in the space."""
    cuts = [
        (i, j)
        for i in range(1, len(first) + 1)
        for j in range(len(second) + 1)
        if i + len(second) - j in space.depths
    ]
    i, j = rng.choice(cuts)
    return (*first[:i], *second[j:])


def change(space: SearchSpace, blocks: tuple[Block, ...], rng: Random) -> tuple[Block, ...]:
    """Replace, remove or insert one block, each as likely where it can be: most neighbours are longer."""
    kinds: dict[int, list[tuple[Block, ...]]] = {}
    for neighbour in mutations(space, blocks):
        kinds.setdefault(len(neighbour), []).append(neighbour)
    return rng.choice(kinds[rng.choice(sorted(kinds))]) if kinds else blocks


def mutations(space: SearchSpace, blocks: tuple[Block, ...]) -> Iterator[tuple[Block, ...]]:
    """Yield every neighbour in the space: one block replaced, removed or inserted."""
    for i, old in enumerate(blocks):
        for new in space.choices:
            if new != old:
                yield (*blocks[:i], new, *blocks[i + 1 :])
        if len(blocks) - 1 in space.depths:
            yield (*blocks[:i], *blocks[i + 1 :])
    if len(blocks) + 1 in space.depths:
        for i in range(len(blocks) + 1):
            for new in space.choices:
                yield (*blocks[:i], new, *blocks[i:])
