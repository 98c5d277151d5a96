"""When the layers of a network work, as a figure. Matplotlib is loaded when it is drawn."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from services.common.drawing import BLUE, INK, VERMILION, head, new_figure, style
from services.common.units import NS_PER_MS, NS_PER_US, format_latency
from services.hw_oracle.derived import busy_ns
from services.hw_oracle.describe import layer_text
from services.hw_oracle.types import CostReport
from services.hw_oracle.worked import Worked, critical_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW_IN = 0.24
_MOST_ROWS = 240
"""A figure of more layers gets thinner bars instead of a longer page, and names only some of them."""


def timeline(worked: Worked, report: CostReport, about: str) -> Figure:
    """Draw a bar from each layer's begin to its finish.

    The dark part of a bar has the share of its height in which the layer works, so that its area is the busy
    time. The line through the bars is the critical path: who held the latest output up, at each time.

    Parameters
    ----------
    worked : Worked
    report : CostReport
        Of the same network on the same chip.
    about : str
        Names these.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    layers = report.layers
    figure = new_figure(7.4, 1.8 + _ROW_IN * min(_MOST_ROWS, len(layers)))
    axes = figure.subplots()
    unit, scale = ("ms", NS_PER_MS) if report.latency_ns >= NS_PER_MS else ("µs", NS_PER_US)
    begin = np.array([layer.begin_ns for layer in layers]) / scale
    end = np.array([layer.finish_ns for layer in layers]) / scale
    shares = np.array([layer.occupancy_frac for layer in layers])
    busy = [busy_ns(layer) for layer in layers]
    slowest, rows = busy.index(max(busy)), np.arange(len(layers))
    colours = [VERMILION if row == slowest else BLUE for row in rows]
    axes.barh(rows, end - begin, 0.8, begin, color=[f"{colour}33" for colour in colours])
    axes.barh(rows, end - begin, 0.8 * shares, begin, color=colours)
    path = critical_path(worked)
    times = [time / scale for part in path for time in (part.begin_ns, part.end_ns)]
    axes.plot(times, [part.layer for part in path for _ in (0, 1)], color=INK, linewidth=1.3)
    named = rows[:: ceil(len(layers) / _MOST_ROWS)]
    for row in named:
        axes.annotate(
            f"{shares[row]:.0%}", (end[row], row), (3, 0), textcoords="offset points", fontsize=7.5,
            color=INK, va="center",
        )  # fmt: skip
    axes.set_yticks(named, [f"{layer_text(worked.network, row)}   {row}" for row in named])
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_xlim(0, report.latency_ns / scale * 1.07)
    axes.set_xlabel(f"time ({unit})")
    style(axes)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    latency = f"latency {format_latency(report.latency_ns).replace(' u', ' µ')}"
    head(axes, "When each layer works", about, latency, width_in=5.2)
    handles = [
        Patch(color=f"{BLUE}33", label="begin to finish"),
        Patch(color=BLUE, label="busy, by area and in %"),
        Patch(color=VERMILION, label="works longest"),
        Line2D([], [], color=INK, linewidth=1.3, label="critical path"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False, fontsize=8.5)
    return figure
