"""Several studies side by side, against one reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.searcher.objective import parse_objective
from services.searcher.staircase import Staircase, volume
from services.searcher.types import StudyStatus, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One study of several.

    Parameters
    ----------
    status : StudyStatus
    most_accurate : Trial or None
        Of the highest accuracy, the cheapest in latency of equals.
    fitness_unit : str
        Of the study's own objective: comparable only between studies of the same one.
    trainings : int
        Trials that have ended.
    front : int
        Networks on the front of the objective's quantities, else of accuracy, latency and energy.
    latency_hypervolume, energy_hypervolume : float
        Of accuracy and the cost, as a share of accuracy 1 by the common reference.
    hypervolume : float
        Of accuracy, latency and energy.
    train_s : float
        Sum over the trainings, as they took when they were made.
    """

    status: StudyStatus
    most_accurate: Trial | None
    fitness_unit: str
    trainings: int
    front: int
    latency_hypervolume: float
    energy_hypervolume: float
    hypervolume: float
    train_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Studies side by side.

    Parameters
    ----------
    rows : tuple of Compared
    reference_latency_ns, reference_energy_nj : float
        The largest of all complete trials of all the studies; 0 where there is none.
    notes : tuple of str
        What makes figures of these studies incomparable.
    """

    rows: tuple[Compared, ...]
    reference_latency_ns: float
    reference_energy_nj: float
    notes: tuple[str, ...]


def compare(studies: Sequence[tuple[StudyStatus, Sequence[Trial]]]) -> Comparison:
    """Compare studies, each given with its trials."""
    every = [t for _, trials in studies for t in trials if t.accuracy is not None]
    latency = max((t.cost.latency_ns for t in every), default=0.0)
    energy = max((t.cost.energy_nj for t in every), default=0.0)
    return Comparison(
        rows=tuple(_compared(status, trials, latency, energy) for status, trials in studies),
        reference_latency_ns=latency,
        reference_energy_nj=energy,
        notes=tuple(_notes([status for status, _ in studies])),
    )


def _compared(status: StudyStatus, trials: Sequence[Trial], latency: float, energy: float) -> Compared:
    points = [
        (t.cost.latency_ns / latency, t.cost.energy_nj / energy, t.accuracy_frac)
        for t in trials
        if t.accuracy is not None
    ]
    by_latency, by_energy = Staircase(1.0), Staircase(1.0)
    for x, y, accuracy in points:
        by_latency.add(x, accuracy)
        by_energy.add(y, accuracy)
    complete = [trial for trial in trials if trial.accuracy]
    return Compared(
        status=status,
        most_accurate=max(complete, key=_accuracy_then_speed, default=None),
        fitness_unit=parse_objective(status.config.objective).unit,
        trainings=status.complete + status.failed,
        front=len(status.front),
        latency_hypervolume=by_latency.area,
        energy_hypervolume=by_energy.area,
        hypervolume=volume(points, (1.0, 1.0)),
        train_s=sum(trial.accuracy.train_s for trial in complete if trial.accuracy),
    )


def _accuracy_then_speed(trial: Trial) -> tuple[float, float]:
    return (trial.accuracy_frac, -trial.cost.latency_ns)


def _notes(studies: Sequence[StudyStatus]) -> list[str]:
    configs = [status.config for status in studies]
    kinds = (
        ("data sets", {c.dataset.fingerprint for c in configs}, "accuracies are of different images"),
        ("chips", {c.chip for c in configs}, "costs are of different chips"),
        ("bit widths", {c.bits for c in configs}, "costs are of different widths"),
        ("recipes", {c.recipe for c in configs}, "accuracies are of different trainings"),
        ("seeds", {c.seed for c in configs}, "the same network may have another accuracy"),
        ("objectives", {c.objective for c in configs}, "fitnesses cannot be compared; hypervolumes can"),
    )
    return [f"{len(found)} {name}: {what}." for name, found, what in kinds if len(found) > 1]
