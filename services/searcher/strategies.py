"""Who proposes the next candidate: the protocol, and the random strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Protocol

from services.common.candidate import Block
from services.common.space import SearchSpace
from services.searcher.types import Trial

Losses = Callable[[Sequence[Trial]], Mapping[int, float]]
"""Given trials, what is minimised, by the numbers of those that are complete."""


class Asker(Protocol):
    """Proposes blocks from what is known; the same history and seed give the same proposal."""

    def ask(self, history: Sequence[Trial], seed: int, attempt: int = 0) -> tuple[Block, ...]:
        """Propose the blocks of the next candidate.

        Parameters
        ----------
        history : sequence of Trial
            Every trial of the study, numbered from 0 without gaps; running ones included.
        seed : int
            0 <= seed < 2**32.
        attempt : int
            How many proposals for the same candidate were refused.
        """
        ...


def draw_blocks(space: SearchSpace, rng: Random) -> tuple[Block, ...]:
    """Draw the depth uniformly, then each block: most configurations have the largest depth."""
    return tuple(rng.choice(space.choices) for _ in range(rng.choice(space.depths)))


class RandomStrategy:
    """Draws from the space, whatever is known."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def ask(self, history: Sequence[Trial], seed: int, attempt: int = 0) -> tuple[Block, ...]:
        """Draw blocks, depth first."""
        return draw_blocks(self._space, Random(seed))
