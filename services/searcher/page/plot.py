"""The page's charts as Matplotlib figures, for files."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from services.common.drawing import BLUE, GREY, INK, VERMILION, head, new_figure, style
from services.searcher.page.chart import COLOURS, SHAPES, Axis, Chart, Look, Points, corners, ticks
from services.searcher.page.choices import Choice

_MARKERS = {"circle": "o", "triangle": "^", "square": "s", "diamond": "D", "star": "*"}
_DASHES = {Look.MUTATED: (6, 3), Look.STUDY_2: (6, 3), Look.STUDY_3: (2, 2), Look.STUDY_4: (7, 2, 2, 2)}
_GROUPS = (("all_frac", "all", GREY), ("top_frac", "top tenth", BLUE), ("front_frac", "front", VERMILION))


def figure(chart: Chart, about: str) -> Figure:
    """Draw a chart; `about` says of what."""
    drawn = new_figure()
    axes = drawn.subplots()
    for which, axis in (("x", chart.x), ("y", chart.y)):
        _scale(axes, which, axis, chart.limits(which))
    if chart.bars:
        axes.stairs(chart.bars.counts, chart.bars.edges, fill=True, color=BLUE, alpha=0.8)
    for line in chart.lines:
        (path,) = axes.plot(
            *zip(*corners(line.corners), strict=True), color=COLOURS[line.look], linewidth=1.5, zorder=2,
            label=line.name or None,
        )  # fmt: skip
        if line.look in _DASHES:
            path.set_dashes(_DASHES[line.look])
    for rule in chart.rules:
        colour = COLOURS[Look(rule.look)] if rule.look in list(Look) else INK
        (axes.axvline if rule.axis == "x" else axes.axhline)(rule.value, color=colour, linewidth=1.1, ls=":")
        upright = rule.axis == "x"
        axes.annotate(
            rule.label, (rule.value, 0.99) if upright else (0.99, rule.value), (-3, -3),
            textcoords="offset points",
            xycoords=axes.get_xaxis_transform() if upright else axes.get_yaxis_transform(),
            fontsize=8, ha="right", va="top", rotation=90 if upright else 0, color=colour,
        )  # fmt: skip
    for points in chart.points:
        _points(axes, points)
    if chart.shade:
        label, low, high = chart.shade
        scale = ScalarMappable(Normalize(low, high), colormaps["viridis"])
        drawn.colorbar(scale, ax=axes, label=label)
    style(axes)
    head(axes, chart.title, about, *([chart.note] if chart.note else []))
    if axes.get_legend_handles_labels()[1]:
        drawn.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=8.5)
    return drawn


def choices_figure(found: Sequence[Choice], about: str) -> Figure:
    """Draw how often each choice was made, by the good ones and by all."""
    drawn = new_figure(9.2, 1.7 + 0.42 * max(len(choice.shares) for choice in found))
    every = drawn.subplots(1, len(found))
    for axes, choice in zip(every, found, strict=True):
        for place, (name, label, colour) in enumerate(_GROUPS):
            ys = [i + 0.26 * (place - 1) for i in range(len(choice.shares))]
            axes.barh(ys, [100 * getattr(s, name) for s in choice.shares], 0.24, color=colour, label=label)
        axes.set_yticks(range(len(choice.shares)), [share.choice for share in choice.shares])
        axes.invert_yaxis()
        axes.set_xlabel(f"{choice.name.lower()}: share of the {choice.counted} (%)", fontsize=9)
        style(axes)
    head(every[0], "Choices of the good networks", about, width_in=8.5)
    handles, labels = every[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower left", ncols=3, frameon=False, fontsize=8.5)
    return drawn


def _scale(axes: Axes, which: str, axis: Axis, ends: tuple[float, float]) -> None:
    axes.set(
        **{f"{which}scale": "log" if axis.log else "linear", f"{which}lim": ends, f"{which}label": axis.label}
    )
    side = axes.xaxis if which == "x" else axes.yaxis
    side.set_ticks(ticks(axis, *ends))
    side.set_minor_locator(NullLocator())
    side.set_minor_formatter(NullFormatter())
    side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _points(axes: Axes, points: Points) -> None:
    marks, colour = points.marks, COLOURS[points.look]
    xs, ys = [mark.x for mark in marks], [mark.y for mark in marks]
    errors = [mark.error for mark in marks]
    if any(errors):
        axes.errorbar(xs, ys, errors, fmt="none", ecolor=colour, elinewidth=0.6, zorder=3)
    shades = [mark.shade_frac for mark in marks if mark.shade_frac is not None]
    fill = colormaps["viridis"](shades) if shades else "white" if points.look is Look.DRAWN else colour
    edge = INK if points.look is Look.BEST else "none" if points.look is Look.SHADED else colour
    size, order = (190, 5) if points.look is Look.BEST else (26, 4)
    axes.scatter(
        xs, ys, size, fill, marker=_MARKERS[SHAPES.get(points.look, "circle")], edgecolors=edge,
        linewidths=1.2, zorder=order, label=points.name or None,
    )  # fmt: skip
