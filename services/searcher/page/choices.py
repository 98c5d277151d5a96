"""Which blocks, depths and kernel counts the good networks have, against all that were tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.searcher.page.view import StudyView
from services.searcher.types import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often one choice was made.

    Parameters
    ----------
    choice : str
    all_frac, top_frac, front_frac : float
        Of all complete trials, of the tenth of the highest fitness, of the front.
    """

    choice: str
    all_frac: float
    top_frac: float
    front_frac: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One kind of choice: what is counted, and the shares."""

    name: str
    counted: str
    shares: tuple[Share, ...]

    @property
    def largest_frac(self) -> float:
        """Largest share of all."""
        return max(max(share.all_frac, share.top_frac, share.front_frac) for share in self.shares)


def top_tenth(complete: Sequence[Trial]) -> list[Trial]:
    """Give the tenth of the highest fitness, at least one trial."""
    ranked = [trial for trial in complete if trial.fitness is not None]
    ranked.sort(key=lambda trial: (-(trial.fitness or 0.0), trial.number))
    return ranked[: -(-len(ranked) // 10)]


def choices(view: StudyView) -> list[Choice]:
    """Count every choice that the space has."""
    space, groups = view.config.space, (view.complete, top_tenth(view.complete), view.status.front)

    def shares(options: Iterable[object], of: Callable[[Trial], Iterable[object]]) -> tuple[Share, ...]:
        counts = [Counter(choice for trial in group for choice in of(trial)) for group in groups]
        totals = [max(count.total(), 1) for count in counts]
        found = []
        for option in options:
            all_, top, front = (count[option] / total for count, total in zip(counts, totals, strict=True))
            found.append(Share(choice=str(option), all_frac=all_, top_frac=top, front_frac=front))
        return tuple(found)

    return [
        Choice(
            name="Block types",
            counted="blocks",
            shares=shares(space.block_types, lambda t: (block.type for block in t.candidate.blocks)),
        ),
        Choice(
            name="Depth",
            counted="networks",
            shares=shares(space.depths, lambda t: (len(t.candidate.blocks),)),
        ),
        Choice(
            name="Kernels",
            counted="blocks",
            shares=shares(space.kernel_counts, lambda t: (block.kernels for block in t.candidate.blocks)),
        ),
    ]
