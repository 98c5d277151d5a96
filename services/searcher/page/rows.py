"""The rows of the page's tables: trials, failures, and studies side by side."""

from __future__ import annotations

from typing import Any

from services.common.drawing import unit_of
from services.common.units import MW_PER_W, UM2_PER_MM2
from services.searcher.compare import Compared
from services.searcher.figures import origins
from services.searcher.page.scatter import ENERGY, LATENCY
from services.searcher.page.view import StudyView, latency, percent, stderr_percent
from services.searcher.types import Trial, TrialState

MAX_ROWS = 1000
"""Rows of the table of trials; the page says where the others are."""

MAX_FAILURES = 20
"""Failed trials that are told of."""


def trial_rows(view: StudyView) -> dict[str, Any]:
    """Tell of the complete trials, a row each, and in which units; there must be one."""
    units = [unit_of((getattr(t.cost, field) for t in view.complete), units) for _, units, field in _COSTS]
    (latency_unit, ns), (energy_unit, nj) = units
    front = {trial.number for trial in view.status.front}
    best = view.status.best.number if view.status.best else None
    kinds = origins(view.status, view.trials)
    first = sorted(view.complete, key=lambda t: (t.number not in front, -(t.fitness or 0.0)))[:MAX_ROWS]

    def row(trial: Trial) -> dict[str, Any]:
        cost, trained = trial.cost, trial.accuracy.train_s if trial.accuracy else 0.0
        figures = [
            (cost.latency_ns, _digits(cost.latency_ns / ns)),
            (cost.energy_nj, _digits(cost.energy_nj / nj)),
            (cost.area_um2, _digits(cost.area_um2 / UM2_PER_MM2)),
            (cost.average_power_w, _digits(cost.average_power_w * MW_PER_W)),
            (cost.tiles, f"{cost.tiles:,}"),
            (trial.fitness, "" if trial.fitness is None else _digits(trial.fitness)),
            (trained, f"{trained:.1f}"),
        ]
        accuracy = f"{percent(trial):.2f} ± {stderr_percent(trial):.2f}"
        return {
            "number": trial.number,
            "network": str(trial.candidate),
            "front": trial.number in front,
            "best": trial.number == best,
            "origin": kinds[trial.number],
            "figures": [(percent(trial), accuracy), *figures],
        }

    count, every = len(first), len(view.complete)
    part = f"The front and the others of the highest fitness: {count:,} of {every:,} complete trials."
    note = part if count < every else f"All {count:,} complete trials."
    return {
        "rows": [row(trial) for trial in sorted(first, key=lambda t: -(t.fitness or 0.0))],
        "rows_note": f"{note} Bold: on the front. Every trial, with all its figures: trials.csv.",
        "latency_unit": latency_unit,
        "energy_unit": energy_unit,
        "fitness_unit": fitness_unit(view.fitness_unit),
    }


def failure_rows(view: StudyView) -> dict[str, Any]:
    """Tell of the first failed trials."""
    failed = [trial for trial in view.trials if trial.state is TrialState.FAILED]
    told = [(trial.number, str(trial.candidate), trial.failure) for trial in failed[:MAX_FAILURES]]
    more = len(failed) - len(told)
    return {"failures": told, "failures_note": f"{more:,} more are in trials.csv." if more else ""}


def compared_row(row: Compared) -> dict[str, Any]:
    """Tell of one of several studies."""
    best, top = row.status.best, row.most_accurate
    return {
        "name": row.status.config.name,
        "objective": str(row.status.config.objective),
        "trainings": row.trainings,
        "accuracy_value": percent(top) if top else None,
        "accuracy": f"{percent(top):.1f} ± {stderr_percent(top):.1f}" if top else "",
        "network": f"{top.candidate}, {latency(top.cost)}" if top else "",
        "fitness_value": best.fitness if best else None,
        "fitness": f"{best.fitness:.4g} {fitness_unit(row.fitness_unit)}".strip() if best else "",
        "front": row.front,
        "latency_hypervolume": row.latency_hypervolume,
        "energy_hypervolume": row.energy_hypervolume,
        "hypervolume": row.hypervolume,
        "train_s": row.train_s,
        "time": _duration(row.train_s),
    }


def fitness_unit(unit: str) -> str:
    """Write the unit of a fitness as people read it."""
    return unit.replace("uJ", "µJ")


_COSTS = (LATENCY, ENERGY)


def _digits(value: float) -> str:
    """Write four digits, so that a column lines up."""
    return (
        f"{value:#.4g}".rstrip(".")
        if 1e-3 <= abs(value) < 1e4
        else f"{value:,.0f}"
        if abs(value) >= 1e4
        else f"{value:.3g}"
    )


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
