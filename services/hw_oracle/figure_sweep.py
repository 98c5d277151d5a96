"""A sweep as a figure: lines over one field, else energy against latency."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, log
from typing import TYPE_CHECKING, Any

from services.common.drawing import (
    head,
    log_where_wide,
    new_figure,
    plain,
    short,
    style,
    unit_of,
)
from services.common.units import UM2_PER_MM2
from services.hw_oracle.fields import Value, value_text
from services.hw_oracle.figure_scatter import COLOURS, ENERGY, LATENCY, MARKERS, scatter
from services.hw_oracle.sweep import Outcome, Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS: tuple[tuple[str, str, dict[str, float]], ...] = (
    ("latency", "latency_ns", LATENCY),
    ("energy", "energy_nj", ENERGY),
    ("area", "area_um2", {"mm²": UM2_PER_MM2}),
    ("TOPS/W", "tops_per_w", {"": 1.0}),
)

_MOST_TICKS = 10


def sweep_figure(
    settings: Sequence[Setting], outcomes: Sequence[Outcome], fronts: Sequence[Sequence[int]]
) -> Figure:
    """Draw outcomes, of which none failed and there is one at least.

    One field: latency, energy, area and TOPS/W over it, a line a network. Several: energy against latency,
    with the colour of the network, or of one network the first field's value, and the marker of the next
    field's; points at one place are drawn around one another, and counted where they are many. Each of
    `fronts`, positions in `outcomes` by rising latency, is joined; of one network its points are numbered
    and listed.
    """
    if len(settings) == 1:
        return _lines(settings[0], outcomes)
    return scatter(settings, outcomes, fronts)


def _lines(setting: Setting, outcomes: Sequence[Outcome]) -> Figure:
    from matplotlib.ticker import ScalarFormatter

    figure = new_figure(7.4, 5.2)
    networks = list(dict.fromkeys(outcome.network for outcome in outcomes))
    grid, places = figure.subplots(2, 2, sharex=True), _places(setting, outcomes)
    words = any(type(value) not in (int, float) for value in places)  # which have no order to join
    for axes, (name, key, units) in zip(grid.flat, _PANELS, strict=True):
        unit, size = unit_of((outcome.totals[key] for outcome in outcomes), units)
        for number, network in enumerate(networks):
            members = [outcome for outcome in outcomes if outcome.network == network]
            members.sort(key=lambda outcome: places[outcome.values[0]])
            marker = MARKERS[number // len(COLOURS) % len(MARKERS)]
            axes.plot(
                [places[outcome.values[0]] for outcome in members],
                [outcome.totals[key] / size for outcome in members],
                marker=marker, color=COLOURS[number % len(COLOURS)], markersize=5,
                linewidth=0 if words else 1.4, label=plain(f" {network}"),
            )  # fmt: skip
        log_where_wide(axes, "y", [outcome.totals[key] / size for outcome in outcomes])
        axes.set_ylabel(f"{name} ({unit})" if unit else name)
        if isinstance(formatter := axes.yaxis.get_major_formatter(), ScalarFormatter):
            formatter.set_useOffset(False)  # a +1 in the corner is not read
        style(axes)
    for axes in grid[-1]:
        axes.set_xlabel(setting.name)
        _mark_values(axes, places)
    title = grid.flat[0]
    head(
        title,
        f"Costs over {setting.name}",
        short(networks[0]) if len(networks) == 1 else f"{len(networks)} networks",
    )
    if len(networks) > 1:
        handles = grid.flat[0].get_lines()
        longest = max(len(str(handle.get_label())) for handle in handles)
        columns = min(3, max(1, 90 // (longest + 8)))
        figure.legend(handles=handles, loc="outside lower left", ncols=columns, frameon=False, fontsize=8.5)
    return figure


def _places(setting: Setting, outcomes: Sequence[Outcome]) -> dict[Value, float]:
    """Place the values that came to something, rising: numbers at themselves, words at their turn."""
    drawn = {outcome.values[0] for outcome in outcomes}
    values = [value for value in setting.values if value in drawn]
    turns: dict[Value, float] = {value: float(turn) for turn, value in enumerate(values)}
    if any(type(value) not in (int, float) for value in turns):
        return turns
    numbers: list[Any] = list(turns)
    return {value: float(value) for value in sorted(numbers)}


def _mark_values(axes: Axes, places: dict[Value, float]) -> None:
    """Put ticks at the values, of many at some; an axis whose values grow by a factor is logarithmic."""
    from matplotlib.ticker import NullFormatter, NullLocator

    along, labels = list(places.values()), [value_text(value) for value in places]
    if along[0] > 0 and along[-1] >= 4 * along[0]:  # words begin at 0
        steps = [after / before for before, after in pairwise(along)]
        if log(max(steps)) < 2.5 * log(min(steps)):
            axes.set_xscale("log")
    step = ceil(len(labels) / _MOST_TICKS)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(along[::step], labels[::step], rotation=0 if sum(map(len, labels[::step])) < 34 else 45)
