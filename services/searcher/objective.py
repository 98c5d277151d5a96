"""Fitness of a trained candidate by the paper's three objectives, all maximised, and the best of several."""

from __future__ import annotations

from collections.abc import Sequence

from services.common.errors import InvalidRequest, one_of, violation
from services.common.units import NJ_PER_UJ, NS_PER_MS
from services.hw_oracle.types import CostReport
from services.searcher.types import Objective, Trial

UNITS = {
    Objective.ACCURACY: "",
    Objective.ACCURACY_PER_LATENCY: "1/ms",
    Objective.ACCURACY_PER_ENERGY: "1/uJ",
}
"""Unit of each objective's fitness; accuracy is a fraction."""


def fitness(objective: Objective, accuracy_frac: float, cost: CostReport) -> float:
    """Fitness in the objective's unit (see UNITS).

    Linear in the accuracy, so an accuracy's standard error passed as `accuracy_frac` gives the fitness's.
    """
    match objective:
        case Objective.ACCURACY:
            return accuracy_frac
        case Objective.ACCURACY_PER_LATENCY:
            return accuracy_frac / (cost.latency_ns / NS_PER_MS)
        case Objective.ACCURACY_PER_ENERGY:
            return accuracy_frac / (cost.energy_nj / NJ_PER_UJ)


def parse_objective(text: str) -> Objective:
    """Read an objective's name, such as ``accuracy/latency``.

    Raises
    ------
    InvalidRequest
        Naming the objectives there are.
    """
    name = "".join(text.lower().split())
    if name not in list(Objective):
        raise InvalidRequest.of(violation("objective", text, one_of(Objective, name)))
    return Objective(name)


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Trial of the highest fitness, the earliest of equals; None where none is complete."""
    complete = [trial for trial in trials if trial.fitness is not None]
    return max(complete, key=lambda trial: (trial.fitness, -trial.number), default=None)
