"""What one sees when a search has ended: the front, the best network, and where the files are."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from services.common.units import format_area, format_energy, format_latency
from services.searcher.objective import ACCURACY, parse_objective
from services.searcher.ranking import front_of
from services.searcher.types import StudyStatus, Trial
from services.trainer.types import AccuracyReport

FITNESS = 4
"""Its column."""


def show_outcome(console: Console, status: StudyStatus) -> None:
    """Print the Pareto front and name the best network."""
    config = status.config
    console.print(
        f"\n[bold]{config.name}[/bold]: {status.state}, {status.complete} of {status.trials_wanted} trials"
        f" on {config.dataset.name}" + (f", {status.failed} failed" if status.failed else "")
    )
    if status.best is None or status.best.accuracy is None:
        console.print(status.failure or "No trial is complete yet.", markup=False)
        return
    objective = parse_objective(config.objective)
    unit = f" {objective.unit}" if objective.unit else ""
    best_number = status.best.number
    rows = [_row(t, t.number == best_number) for t in status.front]
    names = ["network", "accuracy", "latency", "energy", f"fitness{unit}", "area", "tiles"]
    if objective.text == ACCURACY or objective.front:  # it is the accuracy
        del names[FITNESS]
        rows = [row[:FITNESS] + row[FITNESS + 1 :] for row in rows]
    # A narrow terminal gets fewer columns: a name that is broken can be neither read nor copied.
    shown = len(names) if console.width >= 100 else 5 if console.width >= 80 else 4
    table = Table(
        *names[:shown], box=None, padding=(0, 2, 0, 0), pad_edge=False, title_justify="left",
        title=f"Pareto front of {', '.join(front_of(config).front)}",
    )  # fmt: skip
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    table.columns[0].min_width = min(max(len(row[0]) for row in rows), console.width // 2)
    for row in rows:
        table.add_row(*row[:shown])
    console.print(table)
    best = status.best
    title = "Most accurate" if objective.front else f"Best by {objective.text}"
    console.print(
        f"\n{title}: [bold green]{best.candidate}[/bold green]"
        f" ({best.fitness:.4g}{unit}), accuracy {best.accuracy_frac:.3f}"
        f" ± {best.accuracy_stderr_frac:.3f} on {_judged_on(best, status.best.accuracy)}"
    )


def _judged_on(trial: Trial, accuracy: AccuracyReport) -> str:
    if trial.on_chip is None:
        return f"{accuracy.validation_images} validation images"
    chips = len(trial.on_chip.draws_frac)
    return (
        f"{trial.on_chip.images} validation images, mean of {chips} drawn chips"
        f" (float {accuracy.accuracy_frac:.3f}, integers {trial.on_chip.quantised_frac:.3f})"
    )


def _row(trial: Trial, best: bool) -> tuple[str, ...]:
    cost = trial.cost
    return (
        f"{'★' if best else ' '} {trial.candidate}",
        f"{trial.accuracy_frac:.3f} ± {trial.accuracy_stderr_frac:.3f}",
        format_latency(cost.latency_ns),
        format_energy(cost.energy_nj),
        f"{trial.fitness:.4g}",
        format_area(cost.area_um2),
        str(cost.tiles),
    )
