"""What programs read: results as dictionaries for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from services.common.errors import ImcnasError

if TYPE_CHECKING:
    from services.common.layers import LayerList
    from services.hw_oracle.derived import DerivedFigures
    from services.hw_oracle.types import CostReport
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

    whole = asdict(report)
    layers = [
        {"text": layer_text(network, i), **values, "busy_ns": busy_ns(report.layers[i])}
        for i, values in enumerate(whole["layers"])
    ]
    if not modules:
        layers = [{k: v for k, v in layer.items() if k not in MODULES} for layer in layers]
    row = {"name": name, **totals(report, figures), "chip": chip}
    row |= {key: whole[key] for key in ("model_version", "chip_hash")}
    if modules:
        row["modules"] = {key: whole[key] for key in MODULES}
    return {**row, "layers": layers}


def terms_row(layer: int, terms: tuple[Term, ...]) -> dict[str, Any]:
    """Tell the terms of a layer; the equations are Python's, over the symbols in `given`."""
    return {
        "layer": layer,
        "terms": [asdict(term) | {"given": dict(term.given), "unit": term.unit} for term in terms],
    }
