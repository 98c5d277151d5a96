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
