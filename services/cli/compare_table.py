"""Networks or chips side by side, as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from rich.console import Console
from rich.text import Text

from services.cli.cost_table import three_digits
from services.cli.tables import plain_table, print_table
from services.common.layers import LayerList
from services.common.units import format_area, format_energy, format_latency, format_power
from services.hw_oracle.align import Row, align, alike
from services.hw_oracle.derived import DerivedFigures, busy_ns, totals
from services.hw_oracle.describe import layer_text
from services.hw_oracle.types import CostReport, LayerCost


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One of those that are compared: a network on a chip."""

    name: str
    network: LayerList
    report: CostReport
    figures: DerivedFigures


Written = Callable[[float], str]


def _count(number: float) -> str:
    return f"{number:,.0f}"


_TOTALS: tuple[tuple[str, str, Written], ...] = (
    ("latency", "latency_ns", format_latency),
    ("energy", "energy_nj", format_energy),
    ("area", "area_um2", format_area),
    ("average power", "average_power_w", format_power),
    ("power, all at once", "power_w", format_power),
    ("tiles", "tiles", _count),
    ("PEs", "pes", _count),
    ("crossbars", "crossbars", _count),
    ("cells with weights", "utilization_frac", lambda share: f"{share:.1%}"),
    ("inferences/s", "throughput_ips", three_digits),
    ("TOPS", "tops", three_digits),
    ("TOPS/W", "tops_per_w", three_digits),
    ("TOPS/mm2", "tops_per_mm2", three_digits),
)

_OF_LAYERS: tuple[tuple[str, Callable[[LayerCost], float], Written], ...] = (
    ("busy time", busy_ns, format_latency),
    ("energy", lambda layer: layer.energy_nj, format_energy),
    ("area", lambda layer: layer.area_um2, format_area),
)


_OF_FIRST, _OF_OTHER = 48, 19
"""Characters of a line that the layer and the first subject take, and each other one with its ratio."""


def show_comparison(console: Console, subjects: Sequence[Subject]) -> None:
    """Print totals, then busy time, energy and area layer by layer; each with its ratio to the first."""
    fitting = max(2, 1 + (console.width - _OF_FIRST) // _OF_OTHER)  # no number is ever cut
    fitting = min(fitting, len(ascii_uppercase))
    left = len(subjects) - fitting
    subjects, letters = subjects[:fitting], ascii_uppercase[: min(fitting, len(subjects))]
    for letter, subject in zip(letters, subjects, strict=True):
        console.print(Text.assemble((letter, "bold"), f"  {subject.name}"))
    if left > 0:
        console.print(f"and {left} more: --json has them all")
    every = [totals(subject.report, subject.figures) for subject in subjects]
    table = plain_table("", *_headings(letters))
    for label, key, written in _TOTALS:
        table.add_row(label, *_cells([each[key] for each in every], written))
    print_table(console, table)
    networks = [subject.network for subject in subjects]
    rows, same = align(networks), alike(networks)
    console.print(f"\nLayers aligned {'by index' if same else 'by kind; – where a network has none'}.")
    for title, value, written in _OF_LAYERS:
        console.print(f"\n[bold]{title}[/bold]")
        table = plain_table("#" if same else "/".join(letters), "layer", *_headings(letters), left=2)
        table.columns[1].overflow, table.columns[1].max_width = (
            "ellipsis",
            max(20, _OF_FIRST - 16 if len(subjects) > 2 else console.width // 3),
        )
        for row in rows:
            found = [
                None if index is None else value(subject.report.layers[index])
                for subject, index in zip(subjects, row, strict=True)
            ]
            table.add_row(*_names(networks, row, same), *_cells(found, written))
        print_table(console, table)


def _headings(letters: Sequence[str]) -> list[str]:
    first, *others = letters
    return [first, *(heading for letter in others for heading in (letter, f"{letter}/{first}"))]


def _cells(values: Sequence[float | None], written: Written) -> list[str]:
    """Write each value, and of all but the first its ratio to the first."""
    first, *others = values
    cells = ["–" if first is None else written(first)]
    for value in others:
        cells.append("–" if value is None else written(value))
        cells.append(f"{value / first:.3g}" if value is not None and first else "")
    return cells


def _names(networks: Sequence[LayerList], row: Row, same: bool) -> tuple[str, str]:
    """Tell a row's numbers, and its layers, each of those that differ."""
    texts = [layer_text(network, i) for network, i in zip(networks, row, strict=True) if i is not None]
    numbers = ["–" if index is None else str(index) for index in row]
    return numbers[0] if same else "/".join(numbers), " | ".join(dict.fromkeys(texts))
