"""How a search got on: the best so far and the hypervolume, against trainings and against time."""

from __future__ import annotations

from collections.abc import Sequence

from services.searcher.page.chart import Axis, Chart, Line, Look
from services.searcher.page.scatter import steps
from services.searcher.page.view import StudyView, finished
from services.searcher.staircase import Staircase
from services.searcher.types import Trial

_TIMES = (("h", 3600.0), ("min", 60.0), ("s", 1.0))

Curve = list[tuple[float, float]]


def progress_charts(view: StudyView) -> list[Chart]:
    """Draw the best fitness and the hypervolumes; nothing where no trial is complete."""
    ended = finished(view.trials)
    if not view.complete:
        return []
    counts = [float(n) for n in range(1, len(ended) + 1)]
    unit, seconds = elapsed(ended)
    volumes = []
    for name, look, field in (
        ("latency", Look.MODELLED, "latency_ns"),
        ("energy", Look.MUTATED, "energy_nj"),
    ):
        reference = max(getattr(trial.cost, field) for trial in view.complete)
        volumes.append((f"accuracy and {name}", look, hypervolumes(ended, field, reference)))
    fitness_label = f"best fitness{f' ({view.fitness_unit})' if view.fitness_unit else ''}"
    charts = []
    for suffix, xs, label in (("trainings", counts, "trainings"), ("time", seconds, f"time ({unit})")):
        x = Axis(label=label, whole=suffix == "trainings")
        best = _curve(xs, best_so_far(ended))
        charts.append(
            Chart(
                name=f"best_{suffix}", title=f"Best so far, by {suffix}", x=x, y=Axis(label=fitness_label),
                lines=(Line(name="", look=Look.FRONT, corners=best),) if best else (),
            )
        )  # fmt: skip
        lines = tuple(
            Line(name=name, look=look, corners=_curve(xs, values)) for name, look, values in volumes
        )
        charts.append(
            Chart(
                name=f"hypervolume_{suffix}", title=f"Hypervolume, by {suffix}", x=x,
                y=Axis(label="hypervolume (share of the reference)"), lines=lines,
            )
        )  # fmt: skip
    return charts


def best_so_far(ended: Sequence[Trial]) -> list[float | None]:
    """Give the highest fitness after each training; None before the first complete one."""
    best: float | None = None
    found = []
    for trial in ended:
        if trial.fitness is not None:
            best = trial.fitness if best is None else max(best, trial.fitness)
        found.append(best)
    return found


def hypervolumes(ended: Sequence[Trial], field: str, reference: float) -> list[float | None]:
    """Give after each training the area that accuracies and costs dominate, of 1 x `reference`.

    Parameters
    ----------
    ended : sequence of Trial
    field : str
        Of the cost, such as ``latency_ns``.
    reference : float
        Cost from which on nothing counts, in the field's unit.
    """
    stairs = Staircase(1.0)
    found: list[float | None] = []
    for trial in ended:
        if trial.accuracy is not None:
            stairs.add(getattr(trial.cost, field) / reference, trial.accuracy_frac)
        found.append(stairs.area)
    return found


def elapsed(ended: Sequence[Trial]) -> tuple[str, list[float]]:
    """Give when each trial finished, from the first one's start, and the unit of it."""
    begin = min(trial.started_at for trial in ended)
    times = [trial.finished_at - begin for trial in ended]
    unit, size = next((each for each in _TIMES if max(times) >= 2 * each[1]), _TIMES[-1])
    return unit, [time / size for time in times]


def _curve(xs: Sequence[float], values: Sequence[float | None]) -> tuple[tuple[float, float], ...]:
    known = [(x, y) for x, y in zip(xs, values, strict=True) if y is not None]
    return steps(known) if known else ()
