"""A sweep as a figure: lines over one field, else energy against latency. Matplotlib is loaded when drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log
from typing import TYPE_CHECKING, Any

from services.common.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    head,
    log_where_wide,
    new_figure,
    plain,
    style,
    unit_of,
)
from services.common.units import NJ_PER_MJ, NJ_PER_UJ, NS_PER_MS, NS_PER_S, NS_PER_US, UM2_PER_MM2
from services.hw_oracle.fields import Value, value_text
from services.hw_oracle.sweep import Outcome, Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY, INK)
_MARKERS = "osD^vP*X"
_LATENCY = {"s": NS_PER_S, "ms": NS_PER_MS, "µs": NS_PER_US, "ns": 1.0}
_ENERGY = {"mJ": NJ_PER_MJ, "µJ": NJ_PER_UJ, "nJ": 1.0}
_PANELS: tuple[tuple[str, str, dict[str, float]], ...] = (
    ("latency", "latency_ns", _LATENCY),
    ("energy", "energy_nj", _ENERGY),
    ("area", "area_um2", {"mm²": UM2_PER_MM2}),
    ("TOPS/W", "tops_per_w", {"": 1.0}),
)

_MOST_TICKS = 10

_MOST_LISTED = 10
"""Points of the front that the figure numbers and lists."""


def sweep_figure(
    settings: Sequence[Setting], outcomes: Sequence[Outcome], fronts: Sequence[Sequence[int]]
) -> Figure:
    """Draw outcomes, of which none failed and there is one at least.

    One field: latency, energy, area and TOPS/W over it, a line a network. Several: energy against latency,
    with the colour of the network, or of one network the first field's value, and the marker of the next
    field's. Each of `fronts`, positions in `outcomes` by rising latency, is joined; of one network its points
    are numbered and listed.
    """
    if len(settings) == 1:
        return _lines(settings[0], outcomes)
    return _scatter(settings, outcomes, fronts)


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
            marker = _MARKERS[number // len(_COLOURS) % len(_MARKERS)]
            axes.plot(
                [places[outcome.values[0]] for outcome in members],
                [outcome.totals[key] / size for outcome in members],
                marker=marker, color=_COLOURS[number % len(_COLOURS)], markersize=5,
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
        networks[0] if len(networks) == 1 else f"{len(networks)} networks",
    )
    if len(networks) > 1:
        handles = grid.flat[0].get_lines()
        figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=8.5)
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


def _scatter(
    settings: Sequence[Setting], outcomes: Sequence[Outcome], fronts: Sequence[Sequence[int]]
) -> Figure:
    listed = min(len(fronts[0]), _MOST_LISTED + 1) if len(fronts) == 1 else 0
    figure = new_figure(7.4, 4.4 + 0.17 * listed)
    axes = figure.subplots()
    unit, size = unit_of((outcome.totals["latency_ns"] for outcome in outcomes), _LATENCY)
    energy_unit, energy_size = unit_of((outcome.totals["energy_nj"] for outcome in outcomes), _ENERGY)
    xs = [outcome.totals["latency_ns"] / size for outcome in outcomes]
    ys = [outcome.totals["energy_nj"] / energy_size for outcome in outcomes]
    networks = list(dict.fromkeys(outcome.network for outcome in outcomes))
    turn_of = {network: turn for turn, network in enumerate(networks)}
    by_network = _Series("network", networks, [turn_of[outcome.network] for outcome in outcomes])
    turns = [{value: turn for turn, value in enumerate(setting.values)} for setting in settings]
    by_field = [
        _Series(
            setting.name,
            [value_text(value) for value in setting.values],
            [turns[position][outcome.values[position]] for outcome in outcomes],
        )
        for position, setting in enumerate(settings)
    ]
    coloured, marked, *_ = by_field if len(networks) == 1 else [by_network, *by_field]
    colours = _colours(len(coloured.classes))
    markers = _MARKERS if len(marked.classes) <= len(_MARKERS) else "o" * len(marked.classes)
    alike = defaultdict[tuple[str, str], list[int]](list)
    for position in range(len(outcomes)):
        alike[colours[coloured.of[position]], markers[marked.of[position]]].append(position)
    for (colour, marker), members in alike.items():
        axes.plot(
            [xs[i] for i in members], [ys[i] for i in members], marker, color=colour, markersize=6,
            markeredgecolor="white", markeredgewidth=0.5,
        )  # fmt: skip
    for front in fronts:
        axes.plot(
            [xs[i] for i in front], [ys[i] for i in front], drawstyle="steps-post", color=GREY,
            linewidth=1.0, zorder=1,
        )  # fmt: skip
    log_where_wide(axes, "x", xs)
    log_where_wide(axes, "y", ys)
    axes.set_xlabel(f"latency of one inference ({unit})")
    axes.set_ylabel(f"energy of one inference ({energy_unit})")
    style(axes)
    about = networks[0] if len(networks) == 1 else f"{len(networks)} networks"
    names = ", ".join(setting.name for setting in settings)
    head(axes, "Energy against latency", f"{about} · {len(outcomes):,} combinations of {names}", width_in=5.5)
    _add_legend(figure, coloured, marked, colours, markers)
    if len(networks) == 1:
        _number_front(figure, axes, settings, outcomes, fronts[0], xs, ys)
    return figure


@dataclass(frozen=True, slots=True)
class _Series:
    """What tells points apart: its name, that of each class, and the class of each point."""

    name: str
    classes: Sequence[str]
    of: Sequence[int]


def _colours(count: int) -> Sequence[str]:
    """Choose that many colours; of many, shades in their order."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if count <= len(_COLOURS):
        return _COLOURS
    return [to_hex(colormaps["cividis"](place / (count - 1))) for place in range(count)]


def _add_legend(
    figure: Figure, coloured: _Series, marked: _Series, colours: Sequence[str], markers: Sequence[str]
) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for series, of_colour in ((coloured, True), (marked, False)):
        present = sorted(set(series.of))
        if len(present) > len(_COLOURS):
            if not of_colour:
                continue
            present = present[:: -(-len(present) // len(_COLOURS))]
        handles.append(Line2D([], [], linestyle="none", label=series.name))
        for position in present:
            name = series.classes[position]
            colour, marker = (colours[position], "o") if of_colour else (GREY, markers[position])
            handles.append(
                Line2D(
                    [],
                    [],
                    color=colour,
                    marker=marker,
                    linestyle="none",
                    markersize=6,
                    label=plain(f"  {name}"),
                )
            )
    handles.append(Line2D([], [], color=GREY, linewidth=1.0, label="front"))
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8, handlelength=1.2)


def _number_front(
    figure: Figure,
    axes: Axes,
    settings: Sequence[Setting],
    outcomes: Sequence[Outcome],
    front: Sequence[int],
    xs: Sequence[float],
    ys: Sequence[float],
) -> None:
    """Write numbers at the front's points, by latency, and list what each is."""
    from matplotlib.lines import Line2D

    handles, numbers = [], dict[tuple[float, float], list[str]]()
    for number, position in enumerate(front[:_MOST_LISTED], start=1):
        values = zip(settings, outcomes[position].values, strict=True)
        label = ", ".join(f"{setting.name} {value_text(value)}" for setting, value in values)
        cost = outcomes[position].totals
        area = f"{cost['area_um2'] / UM2_PER_MM2:,.4g} mm², {cost['tops_per_w']:.3g} TOPS/W"
        handles.append(Line2D([], [], linestyle="none", label=f"{number}  {label}: {area}"))
        numbers.setdefault((xs[position], ys[position]), []).append(str(number))
    for point, names in numbers.items():
        axes.annotate(", ".join(names), point, (4, 4), textcoords="offset points", fontsize=8, color=INK)
    if len(front) > _MOST_LISTED:
        handles.append(Line2D([], [], linestyle="none", label=f"... and {len(front) - _MOST_LISTED} more"))
    figure.legend(
        handles=handles, loc="outside lower left", frameon=False, fontsize=8, handlelength=0, handletextpad=0
    )
