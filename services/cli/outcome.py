"""What one sees when a search has ended: the front, the best network, and where the files are."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from services.common.units import format_area, format_energy, format_latency
from services.searcher.objective import UNITS
from services.searcher.types import StudyStatus


def show_outcome(console: Console, status: StudyStatus) -> None:
    """Print the Pareto front and name the best network."""
    config = status.config
    console.print(
        f"\n[bold]{config.name}[/bold]: {status.complete} of {status.trials_wanted} trials"
        f" on {config.dataset.name}" + (f", {status.failed} failed" if status.failed else "")
    )
    if status.best is None or status.best.accuracy is None:
        console.print("No trial is complete yet.")
        return
    unit = f" {UNITS[config.objective]}" if UNITS[config.objective] else ""
    table = Table(
        "network", "accuracy", "latency", "energy", "area", "tiles", f"fitness{unit}",
        box=None, padding=(0, 2, 0, 0), pad_edge=False,
        title="Pareto front of accuracy, latency and energy", title_justify="left",
    )  # fmt: skip
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    table.columns[0].overflow = "fold"
    for trial in status.front:
        accuracy = trial.accuracy
        if accuracy is None:
            continue
        star = "★ " if trial.number == status.best.number else "  "
        table.add_row(
            f"{star}{trial.candidate}",
            f"{accuracy.accuracy_frac:.3f} ± {accuracy.accuracy_stderr_frac:.3f}",
            format_latency(trial.cost.latency_ns),
            format_energy(trial.cost.energy_nj),
            format_area(trial.cost.area_um2),
            str(trial.cost.tiles),
            f"{trial.fitness:.4g}",
        )
    console.print(table)
    best = status.best
    console.print(
        f"\nBest by {config.objective.value}: [bold green]{best.candidate}[/bold green]"
        f" ({best.fitness:.4g}{unit}), accuracy {best.accuracy.accuracy_frac:.3f}"
        f" ± {best.accuracy.accuracy_stderr_frac:.3f} on {best.accuracy.validation_images} validation images"
        if best.accuracy
        else ""
    )
