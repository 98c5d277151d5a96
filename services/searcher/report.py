"""The report of a study: figures, a table of its trials, and everything about its best."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.common.candidate import candidate_layers
from services.common.codec import to_jsonable
from services.common.errors import InvalidRequest, NotPossible, Violation
from services.common.files import write_file
from services.common.network_json import network_to_json
from services.searcher.figures import accuracy_figure, energy_figure, latency_figure
from services.searcher.objective import UNITS, fitness
from services.searcher.types import Objective, StudyStatus, Trial

FIGURES = {
    "accuracy.png": accuracy_figure,
    "accuracy_latency.png": latency_figure,
    "accuracy_energy.png": energy_figure,
}

_COST = ("latency_ns", "energy_nj", "area_um2", "power_w", "average_power_w", "tiles", "pes", "crossbars")
_BEFORE = ("number", "state", "proposal", "attempt", "infeasible_proposals", "duplicate_proposals", "fitness")
_AFTER = ("ask_s", "cost_s", "evaluate_s", "started_at", "finished_at", "network_key", "failure")
_ACCURACY = ("accuracy_frac", "accuracy_stderr_frac", "validation_images", "train_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """What `write_report` wrote.

    Parameters
    ----------
    trials : Path
        CSV, one row a trial.
    best : Path
        JSON of the best trial.
    figures : tuple of Path
        PNGs: accuracy, accuracy against latency, accuracy against energy.
    notes : tuple of str
        What a reader should know before quoting the best; also in `best`.
    """

    trials: Path
    best: Path
    figures: tuple[Path, ...]
    notes: tuple[str, ...]


def write_report(status: StudyStatus, trials: Sequence[Trial], folder: Path) -> ReportFiles:
    """Write the report into `folder`, which is made where absent; each file is replaced whole or not at all.

    Raises
    ------
    NotPossible
        No trial is complete.
    InvalidRequest
        The folder cannot be written to.
    """
    if status.best is None:
        raise NotPossible(f"report: study {status.config.name!r} has no complete trial yet; run more of it")
    notes = reading_notes(status, trials)
    best = json.dumps(_best(status, status.best, notes), indent=2, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / "trials.csv", _table(status, trials).encode())
        write_file(folder / "best.json", best.encode())
        for name, draw in FIGURES.items():
            png = io.BytesIO()
            draw(status, trials).savefig(png, format="png")
            write_file(folder / name, png.getvalue())
    except OSError as error:
        fix = "give a folder that can be written to"
        raise InvalidRequest.of(Violation("output", f"cannot write to {folder} ({error}); {fix}")) from error
    return ReportFiles(
        trials=folder / "trials.csv",
        best=folder / "best.json",
        figures=tuple(folder / name for name in FIGURES),
        notes=notes,
    )


def reading_notes(status: StudyStatus, trials: Sequence[Trial]) -> tuple[str, ...]:
    """Say what the ranking does not settle: networks as good within the noise, and a degenerate ratio."""
    best, objective, notes = status.best, status.config.objective, []
    if best is None or best.accuracy is None or best.fitness is None:
        return ()
    complete = [trial for trial in trials if trial.fitness is not None]
    stderr = fitness(objective, best.accuracy.accuracy_stderr_frac, best.cost)
    close = [
        str(t.candidate)
        for t in complete
        if t.number != best.number and t.fitness is not None and t.fitness >= best.fitness - stderr
    ]
    if close:
        names = ", ".join(close[:3]) + (", ..." if len(close) > 3 else "")
        notes.append(
            f"{len(close)} more within one standard error of the best ({names}): "
            f"on {best.accuracy.validation_images} validation images their order is not settled"
        )
    cost = {
        Objective.ACCURACY_PER_LATENCY: "latency_ns",
        Objective.ACCURACY_PER_ENERGY: "energy_nj",
    }.get(objective)
    if (
        cost
        and len(complete) > 1
        and all(getattr(best.cost, cost) <= getattr(t.cost, cost) for t in complete)
    ):
        notes.append(
            f"the best has the lowest {cost.partition('_')[0]} of all: costs differ more than accuracies, "
            f"so {objective} rewards the cheapest network; look at the front too"
        )
    return tuple(notes)


def _table(status: StudyStatus, trials: Sequence[Trial]) -> str:
    front = {trial.number for trial in status.front}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*_BEFORE, "blocks", *_ACCURACY, *_COST, "on_front", *_AFTER))
    for trial in trials:
        table.writerow(
            (
                *(getattr(trial, name) for name in _BEFORE),
                trial.candidate,
                *(getattr(trial.accuracy, name, "") for name in _ACCURACY),
                *(getattr(trial.cost, name) for name in _COST),
                int(trial.number in front),
                *(getattr(trial, name) for name in _AFTER),
            )
        )
    return text.getvalue()


def _best(status: StudyStatus, best: Trial, notes: tuple[str, ...]) -> dict[str, Any]:
    """Everything that is needed to make the best network again, and what it was measured to be."""
    config, cost, accuracy = status.config, best.cost, best.accuracy
    network = candidate_layers(
        best.candidate, config.dataset.input_shape, config.dataset.classes, config.bits
    )
    return {
        "study": config.name,
        "trial": best.number,
        "blocks": str(best.candidate),
        "candidate": to_jsonable(best.candidate),
        "network_key": best.network_key,
        "network": network_to_json(network),
        "objective": str(config.objective),
        "fitness": best.fitness,
        "fitness_unit": UNITS[config.objective],
        "accuracy": to_jsonable(accuracy),
        "cost": {name: getattr(cost, name) for name in _COST},
        "dataset": to_jsonable(config.dataset),
        "recipe": to_jsonable(config.recipe),
        "seed": config.seed,
        "chip": to_jsonable(config.chip),
        "chip_name": config.chip_name,
        "versions": to_jsonable(best.versions) | {"chip_hash": cost.chip_hash},
        "notes": list(notes),
    }
