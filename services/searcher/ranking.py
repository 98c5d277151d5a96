"""Trials of a study compared: their fitness, the best, the front, and ranks for strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from services.common.candidate import Candidate, candidate_layers
from services.hw_oracle.types import CostReport
from services.searcher.objective import FRONT, Objective, measures, parse_objective
from services.searcher.pareto import Point, crowding, front_indices, nondominated_ranks
from services.searcher.types import StudyConfig, Trial


def values_of(
    config: StudyConfig, objective: Objective, candidate: Candidate, cost: CostReport, accuracy_frac: float
) -> dict[str, float]:
    """Give the quantities that an objective uses, of one candidate."""
    data = config.dataset
    return measures(
        objective.uses,
        accuracy_frac,
        cost,
        lambda: candidate_layers(candidate, data.input_shape, data.classes, config.bits),
    )


def fitness_of(config: StudyConfig, candidate: Candidate, cost: CostReport, accuracy_frac: float) -> float:
    """Give a candidate's fitness by the study's objective, in the objective's unit.

    Raises
    ------
    TrainingFailed
        The objective has no value there.
    """
    objective = parse_objective(config.objective)
    return objective.fitness(values_of(config, objective, candidate, cost, accuracy_frac))


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Trial of the highest fitness, the earliest of equals; None where none is complete."""
    complete = [trial for trial in trials if trial.fitness is not None]
    return max(complete, key=lambda trial: (trial.fitness, -trial.number), default=None)


def front_of(config: StudyConfig) -> Objective:
    """Give the front by which a study's trials are compared: its own, else accuracy, latency, energy."""
    objective = parse_objective(config.objective)
    return objective if objective.front else parse_objective(FRONT)


def trial_front(
    config: StudyConfig, trials: Sequence[Trial], quantities: Sequence[str] = ()
) -> tuple[Trial, ...]:
    """Complete trials undominated in these quantities, or in those of `front_of`; by rising costs."""
    front = parse_objective(f"pareto({','.join(quantities)})") if quantities else front_of(config)
    complete = [trial for trial in trials if trial.accuracy is not None]
    points = trial_points(config, front, complete)
    return tuple(complete[i] for i in front_indices(points))


def trial_points(config: StudyConfig, objective: Objective, complete: Sequence[Trial]) -> list[Point]:
    """Coordinates of complete trials, all minimised."""
    return [
        objective.point(values_of(config, objective, t.candidate, t.cost, t.accuracy_frac))
        for t in complete
        if t.accuracy is not None
    ]


def losses(config: StudyConfig, trials: Sequence[Trial]) -> Mapping[int, float]:
    """Give what a strategy minimises, by number of the complete trials: the negated fitness, or ranks.

    Ranks in a front are those of NSGA-II (Deb et al., IEEE Trans. Evol. Comput. 2002): how many fronts have
    to be taken away, and among the trials of one front those first that stand alone.
    """
    complete = [trial for trial in trials if trial.fitness is not None and trial.accuracy is not None]
    objective = parse_objective(config.objective)
    if not objective.front:
        return {trial.number: -trial.fitness for trial in complete if trial.fitness is not None}
    points = np.array(trial_points(config, objective, complete)).reshape(len(complete), len(objective.front))
    points[:, :-1] = np.log(points[:, :-1])  # costs span decades, and are spread over them
    ranks = nondominated_ranks(points)
    found: dict[int, float] = {}
    for rank in range(int(ranks.max(initial=-1)) + 1):
        (members,) = np.nonzero(ranks == rank)
        order = members[np.argsort(-crowding(points[members]), kind="stable")]
        found |= {complete[j].number: rank + i / len(order) for i, j in enumerate(order)}
    return found
