"""What a network costs, as tables for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.console import bar
from services.cli.tables import Column, break_cells, fitting, plain_table, print_table, width_of
from services.common.units import format_area, format_energy, format_latency, format_power
from services.hw_oracle.derived import DerivedFigures, busy_ns
from services.hw_oracle.describe import layer_text

if TYPE_CHECKING:
    from services.common.layers import LayerList
    from services.hw_oracle.types import CostReport, EnergyBreakdown, LatencyBreakdown

_WIDE, _WIDEST = 104, 136
"""Widths from which the table of layers has begin and finish, and area, too."""


def three_digits(value: float) -> str:
    """Write a number with three digits, grouped by thousands."""
    return f"{float(f'{value:.3g}'):,.12g}"


def show_summary(console: Console, name: str, chip: str, report: CostReport, figures: DerivedFigures) -> None:
    """Print a network's totals."""
    pace, slowest = three_digits(figures.throughput_ips), figures.bottleneck_layer
    rates = [three_digits(x) for x in (figures.tops, figures.tops_per_w, figures.tops_per_mm2)]
    table = Table(title=Text(name, "bold"), title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
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
    columns: list[Column] = [
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
    fixed = sum(map(width_of, columns)) + 19 * len(shared)
    width = max(3, min(16, (console.width - fixed) // len(shared)))
    for name, values, written in shared:
        shares = [value / (sum(values) or 1.0) for value in values]
        columns.append((name, [written(value) for value in values]))
        columns.append(("share", [bar(share, max(shares), width) for share in shares]))
    kept, left_out = fitting(columns, console.width, ("share", "tiles"))
    table = plain_table(*(name for name, _ in kept), left=2)
    break_cells(table, 1)
    for column in table.columns:
        if column.header == Text("share"):
            column.justify = "left"
    for row in zip(*(cells for _, cells in kept), strict=True):
        table.add_row(*row)
    print_table(console, table, left_out)


def show_modules(console: Console, report: CostReport) -> None:
    """Print a row a module, summed over the layers."""
    latency, energy = asdict(report.latency or LatencyBreakdown()), asdict(report.energy or EnergyBreakdown())
    modules = [name.removesuffix("_nj") for name in energy]
    shares = [value / (report.energy_nj or 1.0) for value in energy.values()]
    first: list[Column] = [
        ("module", [module.replace("_", " ") for module in modules]),
        ("energy", [format_energy(value) for value in energy.values()]),
    ]
    last: Column = ("busy time", [format_latency(latency[f"{module}_ns"]) for module in modules])
    width = max(3, min(20, console.width - sum(map(width_of, (*first, last))) - 9))
    share: Column = ("share of energy", [bar(share, max(shares), width) for share in shares])
    kept, left_out = fitting([*first, share, last], console.width, ("share of energy",))
    table = plain_table(*(name for name, _ in kept))
    if not left_out:
        table.columns[2].justify = "left"
    for row in zip(*(cells for _, cells in kept), strict=True):
        table.add_row(*row)
    print_table(console, table, left_out)
