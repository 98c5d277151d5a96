"""Studies side by side, for people and for programs."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from services.common.units import format_energy, format_latency
from services.searcher.compare import Compared, Comparison

_SHOWN = (
    "study", "trainings", "highest accuracy", "hv latency", "hv energy", "hv both", "front", "best fitness",
    "training",
)  # fmt: skip


def show_comparison(console: Console, found: Comparison) -> None:
    """Print a row a study; a narrow terminal gets fewer columns, as one that is broken cannot be read."""
    rows = [_cells(row) for row in found.rows]
    widths = [max(map(len, column)) for column in zip(_SHOWN, *rows, strict=True)]
    fit = len(_SHOWN)
    while fit > 2 and sum(widths[:fit]) + 2 * (fit - 1) > console.width:
        fit -= 1
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, title in enumerate(_SHOWN[:fit]):
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row[:fit])
    console.print(table)
    if _SHOWN[fit:]:
        console.print(f"A wider terminal shows {', '.join(_SHOWN[fit:])}", style="dim")
    if found.reference_latency_ns:
        at = f"{format_latency(found.reference_latency_ns)} and {format_energy(found.reference_energy_nj)}"
        text = f"hv: hypervolume, as a share of accuracy 1 by {at}, the largest costs of any network here"
        console.print(text, style="dim", soft_wrap=True)
    for note in found.notes:
        console.print(f"Note: {note}", markup=False, soft_wrap=True)


def comparison_rows(found: Comparison) -> list[dict[str, Any]]:
    """Give a flat row a study, with units in the names."""
    return [
        {
            "study": row.status.config.name,
            "objective": str(row.status.config.objective),
            "strategy": str(row.status.config.strategy),
            "trainings": row.trainings,
            "failed": row.status.failed,
            "front": row.front,
            "highest_accuracy_frac": top.accuracy_frac if top and top.accuracy else None,
            "highest_accuracy_stderr_frac": top.accuracy_stderr_frac if top and top.accuracy else None,
            "most_accurate": str(top.candidate) if top else None,
            "best": str(best.candidate) if best else None,
            "best_fitness": best.fitness if best else None,
            "fitness_unit": row.fitness_unit,
            "latency_hypervolume_frac": row.latency_hypervolume,
            "energy_hypervolume_frac": row.energy_hypervolume,
            "hypervolume_frac": row.hypervolume,
            "reference_latency_ns": found.reference_latency_ns,
            "reference_energy_nj": found.reference_energy_nj,
            "train_s": row.train_s,
        }
        for row in found.rows
        for best, top in ((row.status.best, row.most_accurate),)
    ]


def _cells(row: Compared) -> tuple[str, ...]:
    best, top = row.status.best, row.most_accurate
    return (
        row.status.config.name,
        str(row.trainings),
        f"{top.accuracy_frac:.3f} ± {top.accuracy_stderr_frac:.3f}" if top else "",
        f"{row.latency_hypervolume:.4f}",
        f"{row.energy_hypervolume:.4f}",
        f"{row.hypervolume:.4f}",
        str(row.front),
        f"{best.fitness:.4g} {row.fitness_unit}".strip() if best else "",
        f"{row.train_s:.0f} s",
    )
