"""What one sees when networks were trained: how good each is, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from statistics import fmean, stdev

from rich.console import Console
from rich.table import Table

from services.common.units import format_area, format_energy, format_latency
from services.trainer.trained import Trained

Value = Callable[[Trained], float | None]
"""A share, and None where it was not asked for."""

COSTS = ("latency", "energy", "area")
GAP = 2

WHY_TEST = "Quote the test accuracy; choose by validation: what a choice has looked at no longer measures it."


def show_trained(console: Console, results: Sequence[Trained]) -> None:
    """Print what was trained, a row a training, and the mean of each network's seeds."""
    several = len({trained.request.seed for trained in results}) > 1
    shown = [share for share in _SHARES if share[1](results[0]) is not None]
    titles = ["network", *(["seed"] if several else []), *(share[0] for share in shown), *COSTS]
    rows = []
    for network, group in groupby(results, key=lambda trained: str(trained.request.candidate)):
        trainings = list(group)
        for trained in trainings:
            seed = [str(trained.request.seed)] if several else []
            shares = [_share(of(trained), error(trained)) for _, of, error in shown]
            rows.append([network, *seed, *shares, *_costs(trained)])
        if len(trainings) > 1:
            means = [_mean([of(trained) for trained in trainings]) for _, of, _ in shown]
            rows.append([network, "mean", *means, *_costs(trainings[0])])
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    fit = len(titles)  # a figure that is broken can be neither read nor copied
    while fit > 2 and sum(widths[:fit]) + GAP * (fit - 1) > console.width:
        fit -= 1
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    for number, title in enumerate(titles[:fit]):
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row[:fit], style="bold" if "mean" in row else "")
    console.print(table)
    if titles[fit:]:
        console.print(f"A wider terminal shows {', '.join(titles[fit:])}", style="dim")
    for line in _notes(results, several):
        console.print(line, style="dim", markup=False, soft_wrap=True)


def _on_chip(form: str) -> tuple[Value, Value]:
    def mean(trained: Trained) -> float | None:
        accuracy = getattr(trained.on_chip, form, None)
        return accuracy.mean_frac if accuracy else None

    def deviation(trained: Trained) -> float | None:
        accuracy = getattr(trained.on_chip, form, None)
        return accuracy.deviation_frac if accuracy and len(accuracy.draws_frac) > 1 else None

    return mean, deviation


_SHARES: tuple[tuple[str, Value, Value], ...] = (
    ("accuracy", lambda t: t.report.accuracy_frac, lambda t: t.report.accuracy_stderr_frac),
    ("test", lambda t: t.report.test_accuracy_frac, lambda t: t.test_stderr_frac),
    ("on the chip", *_on_chip("folded")),
    ("exactly", *_on_chip("exact")),
)
"""Title, accuracy, and what it is uncertain by."""


def _share(value: float | None, error: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if error is None else f"{value:.3f} ± {error:.3f}"


def _mean(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return _share(fmean(known), stdev(known))


def _costs(trained: Trained) -> tuple[str, str, str]:
    cost = trained.hardware
    if cost is None:
        return "does not fit", "", ""
    return format_latency(cost.latency_ns), format_energy(cost.energy_nj), format_area(cost.area_um2)


def _notes(results: Sequence[Trained], several: bool) -> Iterable[str]:
    """Say of what the figures are."""
    first = results[0]
    report, bits, on_chip = first.report, first.bits, first.on_chip
    tested = f" and {first.dataset.test_images:,} test" if report.test_accuracy_frac is not None else ""
    yield (
        f"{report.validation_images:,} validation{tested} images of {first.dataset.name}, "
        f"± one standard error; recipe {first.request.recipe.name}, {first.request.epochs} epochs"
    )
    widths = f"{bits.input_bits}, {bits.weight_bits}, {bits.output_bits}"
    yield f"One inference on {first.chip}; inputs, weights, outputs of {widths} bits"
    if on_chip is not None:
        exact = f"; exactly: of {len(on_chip.exact.draws_frac)} of them" if on_chip.exact else ""
        yield f"on the chip: mean ± deviation of {len(on_chip.folded.draws_frac)} drawn chips{exact}"
    if several:
        yield "mean: over the seeds, ± deviation between them"
    if tested:
        yield WHY_TEST
