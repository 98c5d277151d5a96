"""What a network costs, as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.console import bar
from services.common.units import format_area, format_energy, format_latency, format_power
from services.hw_oracle.derived import DerivedFigures, busy_ns
from services.hw_oracle.describe import layer_text

if TYPE_CHECKING:
    from services.common.layers import LayerList
    from services.hw_oracle.types import CostReport, EnergyBreakdown, LatencyBreakdown

_WIDE, _WIDEST = 104, 136
"""Widths from which the table of layers has begin and finish, and area, too."""


def plain_table(*columns: str, left: int = 1) -> Table:
    """Make a table without lines; all columns but the first `left` are numbers, and no cell is broken."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(
            Text(column), justify="left" if position < left else "right", no_wrap=True, vertical="bottom"
        )
    return table


def three_digits(value: float) -> str:
    """Write a number with three digits, grouped by thousands."""
    return f"{float(f'{value:.3g}'):,.12g}"


def show_summary(console: Console, name: str, chip: str, report: CostReport, figures: DerivedFigures) -> None:
    """Print a network's totals."""
    pace, slowest = three_digits(figures.throughput_ips), figures.bottleneck_layer
    rates = [three_digits(x) for x in (figures.tops, figures.tops_per_w, figures.tops_per_mm2)]
    table = Table(title=Text(name, "bold"), title_justify="left", box=None, show_header=False, pad_edge=False)
    for label, value in (
        ("chip", chip),
        ("latency", format_latency(report.latency_ns)),
        ("energy", format_energy(report.energy_nj)),
        ("area", format_area(report.area_um2)),
        ("average power", format_power(report.average_power_w)),
        ("power, all at once", format_power(report.power_w)),
        ("tiles", f"{report.tiles:,} ({report.pes:,} PEs, {report.crossbars:,} crossbars)"),
        ("cells with weights", f"{figures.utilization_frac:.1%}"),
        ("throughput", f"{pace} inferences/s; layer {slowest} works longest"),
        ("operations", "{} TOPS, {} TOPS/W, {} TOPS/mm2".format(*rates)),
    ):
        table.add_row(label, Text(value))
    console.print(table)


def show_layers(console: Console, network: LayerList, report: CostReport) -> None:
    """Print a row a layer, with bars for its share of all layers' busy time, energy and area."""
    layers = report.layers
    columns: list[tuple[str, Sequence[str]]] = [
        ("#", [str(index) for index in range(len(layers))]),
        ("layer", [layer_text(network, index) for index in range(len(layers))]),
        ("tiles", [f"{layer.tiles:,}" for layer in layers]),
    ]
    if console.width >= _WIDE:
        columns.append(("begin", [format_latency(layer.begin_ns) for layer in layers]))
        columns.append(("finish", [format_latency(layer.finish_ns) for layer in layers]))
    shared: list[tuple[str, list[float], Callable[[float], str]]] = [
        ("busy", [busy_ns(layer) for layer in layers], format_latency),
        ("energy", [layer.energy_nj for layer in layers], format_energy),
    ]
    if console.width >= _WIDEST:
        shared.append(("area", [layer.area_um2 for layer in layers], format_area))
    fixed = sum(max(map(len, (name, *cells))) + 2 for name, cells in columns) + 19 * len(shared)
    width = max(3, min(16, (console.width - fixed) // len(shared)))
    for name, values, written in shared:
        shares = [value / (sum(values) or 1.0) for value in values]
        columns.append((name, [written(value) for value in values]))
        columns.append(("share", [bar(share, max(shares), width) for share in shares]))
    table = plain_table(*(name for name, _ in columns), left=2)
    for column in table.columns:
        if column.header == Text("share"):
            column.justify = "left"
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    console.print(table)


def show_modules(console: Console, report: CostReport) -> None:
    """Print a row a module, summed over the layers."""
    table = plain_table("module", "energy", "share of energy", "busy time")
    table.columns[2].justify = "left"
    latency, energy = asdict(report.latency or LatencyBreakdown()), asdict(report.energy or EnergyBreakdown())
    shares = {name: value / (report.energy_nj or 1.0) for name, value in energy.items()}
    for name, share in shares.items():
        module = name.removesuffix("_nj")
        table.add_row(
            module.replace("_", " "),
            format_energy(energy[name]),
            bar(share, max(shares.values())),
            format_latency(latency[f"{module}_ns"]),
        )
    console.print(table)
