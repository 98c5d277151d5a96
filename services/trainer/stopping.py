"""When a training is stopped, because what it can still reach is less than what was asked for.

The rule: of the classification error that the best epoch so far leaves, a training that is a share x of its
way through keeps at least x ** POWER at its end. To that optimistic end one standard error of the
validation images is added, since the end is measured on them, too. Training stops as soon as this bound is
below what was asked for.

benchmarks/stop_rule.py measures how often that is wrong; docs/recipes.md gives what it found.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.trainer.types import EpochReport, EvaluationRequest, Schedule, stderr_frac

POWER = {Schedule.ONE_CYCLE: 1.5, Schedule.CONSTANT: 2.0}
"""The lowest of 1, 1.25, 1.5 and 2 without a false stop on the curves they were chosen on: 36 trainings of
12 candidates each, of digits-hard with the recipes quick and staged. A constant rate's branch gains late."""


def optimistic_frac(curve: Sequence[float], epochs: int, images: int, schedule: Schedule) -> float:
    """Give an accuracy that a training hardly ends above.

    Parameters
    ----------
    curve : sequence of float
        Share of the validation images classified right after each epoch so far; at least one.
    epochs : int
        That the training goes on to.
    images : int
        In the validation part.
    schedule : Schedule
    """
    kept: float = (len(curve) / epochs) ** POWER[schedule]
    end = 1 - kept * (1 - max(curve))
    return min(1.0, end + stderr_frac(end, images))


def hopeless_frac(request: EvaluationRequest, epochs: Sequence[EpochReport], images: int) -> float | None:
    """Give the optimistic end, if that is less than what was asked for and there are epochs left to save."""
    if request.stop_below_frac is None or not 0 < len(epochs) < request.epochs:
        return None
    curve = [epoch.validation_accuracy_frac for epoch in epochs]
    bound = optimistic_frac(curve, request.epochs, images, request.recipe.schedule)
    return bound if bound < request.stop_below_frac else None
