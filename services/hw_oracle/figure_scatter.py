"""A sweep of several fields as a figure: energy against latency. Matplotlib is loaded when drawn."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import log
from typing import TYPE_CHECKING

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
    short,
    style,
    unit_of,
)
from services.common.units import NJ_PER_MJ, NJ_PER_UJ, NS_PER_MS, NS_PER_S, NS_PER_US, UM2_PER_MM2
from services.hw_oracle.fields import value_text
from services.hw_oracle.sweep import Outcome, Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY, INK)
MARKERS = "osD^vP*X"
LATENCY = {"s": NS_PER_S, "ms": NS_PER_MS, "µs": NS_PER_US, "ns": 1.0}
ENERGY = {"mJ": NJ_PER_MJ, "µJ": NJ_PER_UJ, "nJ": 1.0}

_MOST_RINGS = 4
"""Points at one place that are told apart there; more are counted."""

_STEPS, _COARSE_STEPS = 200, 40
"""Steps of an axis: points within one are at one place for the eye, and within a coarse one for a number."""

_NAME = 24
"""Characters of a name in the legend."""

_MOST_LISTED = 10
"""Points of the front that the figure numbers and lists."""


def scatter(
    settings: Sequence[Setting], outcomes: Sequence[Outcome], fronts: Sequence[Sequence[int]]
) -> Figure:
    """Draw energy against latency, as `sweep_figure` says."""
    listed = min(len(fronts[0]), _MOST_LISTED + 1) if len(fronts) == 1 else 0
    figure = new_figure(7.4, 4.4 + 0.17 * listed)
    axes = figure.subplots()
    unit, size = unit_of((outcome.totals["latency_ns"] for outcome in outcomes), LATENCY)
    energy_unit, energy_size = unit_of((outcome.totals["energy_nj"] for outcome in outcomes), ENERGY)
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
    markers = MARKERS if len(marked.classes) <= len(MARKERS) else "o" * len(marked.classes)
    places = _at_one_place(xs, ys, _STEPS)
    looks = [(colours[c], markers[m]) for c, m in zip(coloured.of, marked.of, strict=True)]
    rings = _rings(places, looks)
    alike = defaultdict[tuple[str, str, int], list[int]](list)
    for position, ring in enumerate(rings):
        if ring < _MOST_RINGS:
            alike[*looks[position], ring].append(position)
    for (colour, marker, ring), members in alike.items():
        axes.plot(
            [xs[i] for i in members], [ys[i] for i in members], marker, color=colour, markersize=6 + 4 * ring,
            markeredgecolor="white", markeredgewidth=0.5, zorder=2 - ring / 10,
        )  # fmt: skip
    for members in places:
        if len(members) > _MOST_RINGS:
            at, reach_pt = members[0], _reach_pt(members)
            axes.annotate(
                f"{len(members)}×", (xs[at], ys[at]), (reach_pt, 1 - reach_pt),
                textcoords="offset points", fontsize=8, color=GREY,
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
    about = short(networks[0]) if len(networks) == 1 else f"{len(networks)} networks"
    names = ", ".join(setting.name for setting in settings)
    legend_in = _add_legend(figure, coloured, marked, colours, markers, any(rings))
    head(
        axes, "Energy against latency", f"{about} · {len(outcomes):,} combinations of {names}",
        width_in=6.5 - legend_in,
    )  # fmt: skip
    if len(networks) == 1:
        _number_front(figure, axes, settings, outcomes, fronts[0], xs, ys, places)
    return figure


@dataclass(frozen=True, slots=True)
class _Series:
    """What tells points apart: its name, that of each class, and the class of each point."""

    name: str
    classes: Sequence[str]
    of: Sequence[int]


def _at_one_place(xs: Sequence[float], ys: Sequence[float], steps: int) -> list[list[int]]:
    """Group the positions of points that the eye cannot tell apart: those within a step of a first one."""
    at = dict[tuple[int, int], list[int]]()  # by the step of the first, of which each step has one at most
    along, up = _steps(xs, steps), _steps(ys, steps)
    for position, (x, y) in enumerate(zip(along, up, strict=True)):
        for near in product(range(round(x) - 1, round(x) + 2), range(round(y) - 1, round(y) + 2)):
            if near in at and max(abs(along[at[near][0]] - x), abs(up[at[near][0]] - y)) <= 1:
                at[near].append(position)
                break
        else:
            at[round(x), round(y)] = [position]
    return list(at.values())


def _steps(values: Sequence[float], steps: int) -> list[float]:
    along = [log(value) for value in values] if min(values) > 0 else values
    low, high = min(along), max(along)
    return [steps * (value - low) / (high - low) if high > low else 0.0 for value in along]


def _rings(places: Sequence[Sequence[int]], looks: Sequence[tuple[str, str]]) -> list[int]:
    """Tell around how many points at its place each point is drawn: those of unlike looks in the middle."""
    rings = dict[int, int]()
    for members in places:
        again = Counter[tuple[str, str]]()
        turns = dict[int, int]()
        for position in reversed(members):
            turns[position] = again[looks[position]]
            again[looks[position]] += 1
        for ring, position in enumerate(sorted(turns, key=lambda i: turns[i])):
            rings[position] = ring
    return [rings[position] for position in range(len(rings))]


def _reach_pt(members: Sequence[int]) -> int:
    """Tell how far the points at one place reach, and a little more."""
    return 2 + 2 * min(len(members), _MOST_RINGS)


def _colours(count: int) -> Sequence[str]:
    """Choose that many colours; of many, shades in their order."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if count <= len(COLOURS):
        return COLOURS
    return [to_hex(colormaps["cividis"](place / (count - 1))) for place in range(count)]


def _add_legend(
    figure: Figure,
    coloured: _Series,
    marked: _Series,
    colours: Sequence[str],
    markers: Sequence[str],
    ringed: bool,
) -> float:
    """Add the legend at the right, and tell its width in inches."""
    from matplotlib.lines import Line2D

    handles = []
    for series, of_colour in ((coloured, True), (marked, False)):
        present = sorted(set(series.of))
        if len(present) > len(COLOURS):
            if not of_colour:
                continue
            present = present[:: -(-len(present) // len(COLOURS))]
        handles.append(Line2D([], [], linestyle="none", label=plain(series.name, _NAME)))
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
                    label=f"  {plain(name, _NAME)}",
                )
            )
    handles.append(Line2D([], [], color=GREY, linewidth=1.0, label="front"))
    if ringed:
        handles.append(Line2D([], [], linestyle="none", label="rings: points at one place"))
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8, handlelength=1.2)
    return 0.35 + 0.07 * max(len(str(handle.get_label())) for handle in handles)


def _number_front(
    figure: Figure,
    axes: Axes,
    settings: Sequence[Setting],
    outcomes: Sequence[Outcome],
    front: Sequence[int],
    xs: Sequence[float],
    ys: Sequence[float],
    places: Sequence[Sequence[int]],
) -> None:
    """Write numbers at the front's points, by latency, and list what each is."""
    from matplotlib.lines import Line2D

    handles, numbers = [], dict[int, str]()
    for number, position in enumerate(front[:_MOST_LISTED], start=1):
        values = zip(settings, outcomes[position].values, strict=True)
        label = ", ".join(f"{setting.name} {value_text(value)}" for setting, value in values)
        cost = outcomes[position].totals
        area = f"{cost['area_um2'] / UM2_PER_MM2:,.4g} mm², {cost['tops_per_w']:.3g} TOPS/W"
        handles.append(Line2D([], [], linestyle="none", label=f"{number}  {label}: {area}"))
        numbers[position] = str(number)
    reach_pt = {position: _reach_pt(members) for members in places for position in members}
    for members in _at_one_place(xs, ys, _COARSE_STEPS):
        if near := [position for position in members if position in numbers]:
            at, aside = near[0], (reach_pt[near[0]],) * 2
            names = ", ".join(sorted((numbers[i] for i in near), key=int))
            axes.annotate(names, (xs[at], ys[at]), aside, textcoords="offset points", fontsize=8, color=INK)
    if len(front) > _MOST_LISTED:
        handles.append(Line2D([], [], linestyle="none", label=f"... and {len(front) - _MOST_LISTED} more"))
    figure.legend(
        handles=handles, loc="outside lower left", frameon=False, fontsize=8, handlelength=0, handletextpad=0
    )
