"""A study for programs: a table of its trials, and everything about its best. The page is in `page`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.common.candidate import candidate_layers
from services.common.codec import to_jsonable
from services.common.errors import InvalidRequest, Violation
from services.common.files import write_file
from services.common.network_json import network_to_json
from services.searcher.objective import ACCURACY, parse_objective
from services.searcher.ranking import fitness_of, values_of
from services.searcher.types import StudyConfig, StudyStatus, Trial

NEARLY = 1.05
"""A cost up to so many times the lowest one is nearly the lowest."""

_COST = ("latency_ns", "energy_nj", "area_um2", "power_w", "average_power_w", "tiles", "pes", "crossbars")
_BEFORE = ("number", "state", "proposal", "attempt", "infeasible_proposals", "duplicate_proposals", "fitness")
_AFTER = ("ask_s", "cost_s", "evaluate_s", "started_at", "finished_at", "network_key", "failure")
_ON_CHIP = ("on_chip_mean_frac", "on_chip_quantised_frac")
_ACCURACY = ("accuracy_frac", "accuracy_stderr_frac", "validation_images", "train_s")

COLUMNS = (*_BEFORE, "blocks", *_ACCURACY, "epochs", *_ON_CHIP, *_COST, "on_front", *_AFTER)
"""Names of what a trial's row holds, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """What `write_report` wrote.

    Parameters
    ----------
    trials : Path
        CSV, one row a trial.
    best : Path or None
        JSON of the best trial; None while no trial is complete.
    notes : tuple of str
        What a reader should know before quoting the best; also in `best`.
    """

    trials: Path
    best: Path | None
    notes: tuple[str, ...]


def write_report(status: StudyStatus, trials: Sequence[Trial], folder: Path) -> ReportFiles:
    """Write the files into `folder`, which is made where absent; each is replaced whole or not at all.

    Raises
    ------
    InvalidRequest
        The folder cannot be written to.
    """
    notes, best = reading_notes(status, trials), None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / "trials.csv", trials_csv(status, trials).encode())
        if status.best:
            best = folder / "best.json"
            text = json.dumps(_best(status, status.best, notes), indent=2, allow_nan=False) + "\n"
            write_file(best, text.encode())
    except OSError as error:
        fix = "give a folder that can be written to"
        raise InvalidRequest.of(Violation("output", f"cannot write to {folder} ({error}); {fix}")) from error
    return ReportFiles(trials=folder / "trials.csv", best=best, notes=notes)


def reading_notes(status: StudyStatus, trials: Sequence[Trial]) -> tuple[str, ...]:
    """Say what the ranking does not settle: networks as good within the noise, and a degenerate ratio."""
    best, config, notes = status.best, status.config, list[str]()
    if best is None or best.accuracy is None or best.fitness is None:
        return ()
    complete = [trial for trial in trials if trial.fitness is not None]
    accuracy = best.accuracy_frac
    less = max(0.0, accuracy - best.accuracy_stderr_frac)
    there, below = (fitness_of(config, best.candidate, best.cost, frac) for frac in (accuracy, less))
    least = best.fitness - abs(there - below)
    close = [
        str(t.candidate)
        for t in complete
        if t.number != best.number and t.fitness is not None and t.fitness >= least
    ]
    if close:
        names = ", ".join(close[:3]) + (", ..." if len(close) > 3 else "")
        notes.append(
            f"{len(close)} more within one standard error of the best ({names}): "
            f"on {best.accuracy.validation_images} validation images their order is not settled"
        )
    for name in cheapest_in(config, best, complete):
        notes.append(
            f"the best has nearly the lowest {name} of all: costs differ more than accuracies, "
            f"so {config.objective} rewards the cheapest network; look at the front too"
        )
    return tuple(notes)


def cheapest_in(config: StudyConfig, best: Trial, complete: Sequence[Trial]) -> list[str]:
    """Name the costs in the objective of which the best has nearly the lowest of all."""
    objective = parse_objective(config.objective)
    if objective.front or len(complete) < 2:
        return []
    found = []
    for name in objective.uses:
        if name != ACCURACY:
            costs = [values_of(config, objective, t.candidate, t.cost, 0.0)[name] for t in (best, *complete)]
            if costs[0] <= NEARLY * min(costs) and min(costs) < max(costs):
                found.append(name.replace("_", " "))
    return found


def trial_rows(status: StudyStatus, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Tell of each trial in one flat row; what it does not have is None."""
    front = {trial.number for trial in status.front}
    return [
        {name: _plain(getattr(trial, name)) for name in _BEFORE}
        | {"blocks": str(trial.candidate)}
        | {name: getattr(trial.accuracy, name, None) for name in _ACCURACY}
        | {"epochs": len(trial.accuracy.epochs) if trial.accuracy else None}
        | {name: getattr(trial.on_chip, name.removeprefix("on_chip_"), None) for name in _ON_CHIP}
        | {name: getattr(trial.cost, name) for name in _COST}
        | {"on_front": int(trial.number in front)}
        | {name: getattr(trial, name) for name in _AFTER}
        for trial in trials
    ]


def trials_csv(status: StudyStatus, trials: Sequence[Trial]) -> str:
    """Write the rows as CSV, with a head even where there is no trial."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(trial_rows(status, trials))
    return text.getvalue()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, StrEnum) else value


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
        "objective": config.objective,
        "fitness": best.fitness,
        "fitness_unit": parse_objective(config.objective).unit,
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
