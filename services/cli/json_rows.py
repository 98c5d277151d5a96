"""What programs read: results as dictionaries for JSON."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from services.common.errors import ImcnasError

if TYPE_CHECKING:
    from services.common.layers import LayerList
    from services.hw_oracle.derived import DerivedFigures
    from services.hw_oracle.types import CostReport, LayerCost
    from services.hw_oracle.worksheet import Term
    from services.searcher.types import StudyStatus, Trial

MODULES = ("latency", "energy", "area", "power")


def error_row(name: str, error: ImcnasError) -> dict[str, Any]:
    """Tell what failed, and why."""
    field = error.violations[0].field if error.violations else ""
    return {"name": name, "error": {"reason": error.reason, "message": str(error), "field": field}}


def report_row(
    name: str, chip: str, network: LayerList, report: CostReport, figures: DerivedFigures, modules: bool
) -> dict[str, Any]:
    """Tell a report: totals first, layers last, all of them and of each layer by module where wanted."""
    from services.hw_oracle.derived import busy_ns, totals
    from services.hw_oracle.describe import layer_text

    layers = [
        {"text": layer_text(network, i), **_values(cost, modules), "busy_ns": busy_ns(cost)}
        for i, cost in enumerate(report.layers)
    ]
    row = {"name": name, **totals(report, figures), "chip": chip}
    row |= {key: getattr(report, key) for key in ("model_version", "chip_hash")}
    if modules:
        row["modules"] = {key: asdict(getattr(report, key)) for key in MODULES}
    return {**row, "layers": layers}


def _values(cost: LayerCost, modules: bool) -> dict[str, Any]:
    if modules:
        return asdict(cost)
    return {f.name: getattr(cost, f.name) for f in fields(cost) if f.name not in MODULES}


def terms_row(layer: int, terms: tuple[Term, ...]) -> dict[str, Any]:
    """Tell the terms of a layer; the equations are Python's, over the symbols in `given`."""
    return {
        "layer": layer,
        "terms": [asdict(term) | {"given": dict(term.given), "unit": term.unit} for term in terms],
    }


def status_row(status: StudyStatus) -> dict[str, Any]:
    """Tell how a study stands."""
    best = status.best
    return {
        "study": status.config.name,
        "study_id": status.study_id,
        "state": str(status.state),
        "trials_wanted": status.trials_wanted,
        "complete": status.complete,
        "failed": status.failed,
        "running": status.running,
        "objective": str(status.config.objective),
        "dataset": status.config.dataset.name,
        "best": None if best is None else trial_row(best),
        "front": [trial_row(trial) for trial in status.front],
        "failure": status.failure,
        "note": status.note,
    }


def trial_row(trial: Trial) -> dict[str, Any]:
    """Tell a trial in short."""
    accuracy = trial.accuracy
    return {
        "trial": trial.number,
        "blocks": str(trial.candidate),
        "state": str(trial.state),
        "fitness": trial.fitness,
        "accuracy_frac": accuracy and trial.accuracy_frac,
        "accuracy_stderr_frac": accuracy and trial.accuracy_stderr_frac,
        "latency_ns": trial.cost.latency_ns,
        "energy_nj": trial.cost.energy_nj,
        "failure": trial.failure,
    }
