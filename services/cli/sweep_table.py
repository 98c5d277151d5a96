"""The outcomes of a sweep, as a table for people and as rows of CSV."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from services.cli.cost_table import three_digits
from services.cli.tables import Column, break_cells, fitting, plain_table, print_table, width_of
from services.common.units import format_area, format_energy, format_latency, format_power
from services.hw_oracle.fields import short_name, value_text
from services.searcher.pareto import front_indices

if TYPE_CHECKING:
    from services.hw_oracle.sweep import Outcome, Setting

MOST_ROWS = 60
"""A table of more shows only the front and the best."""

_FEW = 40
"""Characters of three costs, for which the names of fields give way."""

_MOST_REASONS = 10

_COLUMNS: tuple[tuple[str, str, Callable[[float], str], bool], ...] = (
    ("latency", "latency_ns", format_latency, False),
    ("energy", "energy_nj", format_energy, False),
    ("area", "area_um2", format_area, False),
    ("TOPS/W", "tops_per_w", three_digits, True),
    ("power", "average_power_w", format_power, False),
    ("tiles", "tiles", lambda tiles: f"{tiles:,.0f}", False),
    ("inferences/s", "throughput_ips", three_digits, True),
    ("TOPS/mm2", "tops_per_mm2", three_digits, True),
)
"""Heading, total, how it is written, and whether more is better; the last ones are left out first."""


def fronts(outcomes: Sequence[Outcome], *totals: str) -> list[list[int]]:
    """Find, of each network, the positions that no other beats in all of `totals` at once."""
    found = []
    for members in _by_network(outcomes).values():
        costs = [tuple(outcomes[i].totals[name] for name in totals) for i in members]
        found.append([members[i] for i in front_indices(costs)])
    return found


def _by_network(outcomes: Sequence[Outcome]) -> dict[str, list[int]]:
    """Group the positions of what did not fail by network."""
    found: dict[str, list[int]] = defaultdict(list)
    for position, outcome in enumerate(outcomes):
        if outcome.error is None:
            found[outcome.network].append(position)
    return found


def show_sweep(console: Console, settings: Sequence[Setting], outcomes: Sequence[Outcome]) -> None:
    """Print the outcomes, the best of each network in each column with a star; of many not all."""
    written = {
        key: [text(outcome.totals[key]) if outcome.error is None else "" for outcome in outcomes]
        for _, key, text, _ in _COLUMNS
    }
    best = _best(outcomes, written)
    several = len({outcome.network for outcome in outcomes}) > 1
    labels = [_labels(outcome, several) for outcome in outcomes]
    headings = ["network"] * several + [setting.name for setting in settings]
    first: list[Column] = [*zip(headings, map(list, zip(*labels, strict=True)), strict=True)]
    if sum(map(width_of, first)) + _FEW > console.width:
        headings[several:] = [short_name(setting.path) for setting in settings]
        first = [(heading, cells) for heading, (_, cells) in zip(headings, first, strict=True)]
    costs = [(name, [f"{text}  " for text in written[key]]) for name, key, _, _ in _COLUMNS]
    kept, left_out = fitting([*first, *costs], console.width, [name for name, _ in costs[:1:-1]])
    columns = _COLUMNS[: len(kept) - len(first)]
    shown = list(range(len(outcomes)))
    if len(outcomes) > MOST_ROWS:
        shown = _shown(console, outcomes, {key: best[key] for _, key, *_ in columns})
    table = plain_table(*headings, *(name for name, *_ in columns), left=len(headings))
    for position in range(len(headings)):
        break_cells(table, position)
    for position in shown:
        cells = [Text("failed", "red") if outcomes[position].error else Text()]
        if outcomes[position].error is None:
            cells = [_cell(written[key][position], position in best[key]) for _, key, *_ in columns]
        table.add_row(*map(Text, labels[position]), *cells)
    print_table(console, table, left_out[::-1], "--csv FILE has all.")
    _show_reasons(console, settings, outcomes)


def _shown(console: Console, outcomes: Sequence[Outcome], best: dict[str, set[int]]) -> list[int]:
    """Choose of many outcomes the best of each network in each column, and what else is on its front."""
    front = sorted(i for front in fronts(outcomes, "latency_ns", "energy_nj", "area_um2") for i in front)
    stars = set[int]()
    for members in _by_network(outcomes).values():
        for found in best.values():
            alike = [i for i in members if i in found]
            if alike and not stars.intersection(alike):
                stars.add(next((i for i in front if i in found and i in members), alike[0]))
    shown = stars.union([i for i in front if i not in stars][: max(0, MOST_ROWS - len(stars))])
    all_of_it = len(shown.intersection(front))
    kept = f"{len(front):,}" if all_of_it == len(front) else f"{all_of_it} of {len(front):,}"
    console.print(
        f"Shown of {len(outcomes):,} combinations: the front of latency, energy and area ({kept}),"
        " and the best of each column. --csv FILE has all."
    )
    return sorted(shown)


def _labels(outcome: Outcome, several: bool) -> list[str]:
    return [outcome.network] * several + [value_text(value) for value in outcome.values]


def _cell(text: str, best: bool) -> Text:
    return Text(f"{text} ★", "bold green") if best else Text(f"{text}  ")


def _best(outcomes: Sequence[Outcome], written: dict[str, list[str]]) -> dict[str, set[int]]:
    """Find each network's best in each column, all that read alike; none where all do."""
    best: dict[str, set[int]] = defaultdict(set)
    for members in _by_network(outcomes).values():
        for _, key, _, more in _COLUMNS:
            top = (max if more else min)(members, key=lambda i: outcomes[i].totals[key])
            alike = {i for i in members if written[key][i] == written[key][top]}
            if len(alike) < len(members):
                best[key] |= alike
    return best


def _show_reasons(console: Console, settings: Sequence[Setting], outcomes: Sequence[Outcome]) -> None:
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    for outcome in failed[:_MOST_REASONS]:
        values = zip(settings, outcome.values, strict=True)
        what = " ".join(f"{setting.name}={value_text(value)}" for setting, value in values)
        console.print(f"failed: {outcome.network} {what}: {outcome.error}", style="red", markup=False)
    if len(failed) > _MOST_REASONS:
        console.print(f"... and {len(failed) - _MOST_REASONS:,} more failed; --csv FILE has all", style="red")


def csv_header(settings: Sequence[Setting], totals: Sequence[str]) -> list[str]:
    """Name the columns: the network, the fields by their full paths, all totals, and why it failed."""
    return ["network", *(setting.path for setting in settings), *totals, "error"]


def csv_row(outcome: Outcome, totals: Sequence[str]) -> list[object]:
    """Write an outcome in those columns; every number reads back as it was."""
    values = [value_text(value) for value in outcome.values]
    return [outcome.network, *values, *(outcome.totals.get(name, "") for name in totals), outcome.error or ""]
