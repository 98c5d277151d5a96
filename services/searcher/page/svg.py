"""Charts as SVG inside the page: colours come from its style sheet, so they follow light, dark and print."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup, escape

from services.searcher.page.chart import SHAPES, Axis, Chart, Mark, Points, Rule, corners, ticks

WIDTH, HEIGHT = 480, 330
LEFT, RIGHT, TOP, BOTTOM = 48, 14, 34, 48
"""Room around the plot. At a phone's width all of it is drawn at three quarters of its size."""

RADIUS = 4.0

LABEL, CHARACTER, LONGEST = 18, 8.6, 24
"""Room that a label along a rule needs beside it, the width of a letter, and letters of the longest name."""

Place = Callable[[float], float]


def draw(chart: Chart) -> Markup:
    """Draw a chart; every text in it is escaped."""
    x_ends, y_ends = chart.limits("x"), chart.limits("y")
    x = _place(chart.x, x_ends, LEFT, WIDTH - RIGHT)
    y = _place(chart.y, y_ends, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">',
        *_axes(chart, x, y, x_ends, y_ends),
    ]
    if chart.bars:
        parts += _bars(chart, x, y)
    for line in chart.lines:
        path = " ".join(f"{_n(x(a))},{_n(y(b))}" for a, b in corners(line.corners))
        parts.append(f'<polyline class="line {line.look}" points="{path}"/>')
    for rule in chart.rules:
        parts.append(_rule(rule, x, y))
    for series in chart.points:
        parts += _points(series, x, y)
    parts += [*_rule_labels(chart.rules, x, y), *_names(chart.points, x, y)]
    return Markup("\n".join([*parts, "</svg>"]))  # noqa: S704 - every text was escaped


def swatch(look: str, line: bool = False) -> Markup:
    """Draw what stands for a series in a legend."""
    if line:
        inside = f'<polyline class="line {look}" points="1,7 17,7"/>'
    else:
        inside = f'<g class="points {look}">{_shape(look, 9, 7, "", 1.0)}</g>'
    return Markup(f'<svg class="swatch" viewBox="0 0 18 14" aria-hidden="true">{inside}</svg>')  # noqa: S704


def _place(axis: Axis, ends: tuple[float, float], begin: float, end: float) -> Place:
    scale = math.log if axis.log else float
    low, high = map(scale, ends)

    def place(value: float) -> float:
        return begin + (scale(value) - low) / (high - low) * (end - begin)

    return place


def _axes(
    chart: Chart, x: Place, y: Place, x_ends: tuple[float, float], y_ends: tuple[float, float]
) -> Iterable[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in ticks(chart.y, *y_ends):
        at = _n(y(value))
        yield f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{at}" y2="{at}"/>'
        yield f'<text class="tick" x="{LEFT - 6}" y="{at}" dy=".35em" text-anchor="end">{value:,.6g}</text>'
    for value in ticks(chart.x, *x_ends):
        at = _n(x(value))
        yield f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{bottom}"/>'
        yield f'<text class="tick" x="{at}" y="{bottom + 18}" text-anchor="middle">{value:,.6g}</text>'
    yield f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
    yield f'<text class="name" x="2" y="16">{escape(chart.y.label)}</text>'
    yield f'<text class="name" x="{right}" y="{HEIGHT - 8}" text-anchor="end">{escape(chart.x.label)}</text>'


def _bars(chart: Chart, x: Place, y: Place) -> Iterable[str]:
    if chart.bars is None:
        return
    edges, counts = chart.bars.edges, chart.bars.counts
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        if count:
            label = escape(f"{count} from {low:.4g} to {high:.4g}")
            place = f'x="{_n(x(low))}" width="{_n(max(x(high) - x(low) - 1, 1))}"'
            size = f'y="{_n(y(count))}" height="{_n(y(0) - y(count))}"'
            yield f'<rect class="hist" {place} {size}><title>{label}</title></rect>'


def _rule(rule: Rule, x: Place, y: Place) -> str:
    if rule.axis == "x":
        at = _n(x(rule.value))
        ends = f'x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"'
    else:
        at = _n(y(rule.value))
        ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"'
    return f'<line class="rule {rule.look}" {ends}/>'


def _rule_labels(rules: Sequence[Rule], x: Place, y: Place) -> Iterable[str]:
    """Write the labels along the rules, from the bottom: accurate networks crowd the top."""
    upright = sorted((rule for rule in rules if rule.axis == "x"), key=lambda rule: rule.value)
    before = float(LEFT)
    for rule in upright:
        at = x(rule.value)
        beside = at - 4 if at - before > LABEL else at + 12
        before = at
        place = f'transform="translate({_n(beside)} {HEIGHT - BOTTOM - 6}) rotate(-90)"'
        yield f'<text class="note halo" {place}>{escape(rule.label)}</text>'
    for rule in rules:
        if rule.axis == "y":
            place = f'x="{WIDTH - RIGHT - 2}" y="{_n(y(rule.value) - 5)}" text-anchor="end"'
            yield f'<text class="note halo" {place}>{escape(rule.label)}</text>'


def _names(points: Sequence[Points], x: Place, y: Place) -> Iterable[str]:
    """Write the names of the few marks that have one beside them, inside the plot."""
    for mark in (mark for series in points if series.named for mark in series.marks):
        whole = mark.label.partition(",")[0]
        name = whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 1]}…"
        at = max(float(LEFT), min(x(mark.x) + 10, WIDTH - CHARACTER * len(name)))
        yield f'<text class="note halo" x="{_n(at)}" y="{_n(y(mark.y) - 10)}">{escape(name)}</text>'


def _points(series: Points, x: Place, y: Place) -> Iterable[str]:
    bars = "".join(
        f"M{_n(x(mark.x))} {_n(y(mark.y - mark.error))}V{_n(y(mark.y + mark.error))}"
        for mark in series.marks
        if mark.error
    )
    yield f'<g class="points {series.look}">'
    if bars:
        yield f'<path class="error" d="{bars}"/>'
    size = 1.0 if len(series.marks) <= 200 else 0.75
    for mark in series.marks:
        yield _shape(series.look, x(mark.x), y(mark.y), _attributes(mark), size, mark.label)
    yield "</g>"


def _attributes(mark: Mark) -> str:
    number = "" if mark.number is None else f' data-n="{mark.number}"'
    if mark.shade_frac is None:
        return number
    return f'{number} class="shade{round(9 * min(1.0, max(0.0, mark.shade_frac)))}"'


def _shape(look: str, x: float, y: float, attributes: str, size: float, label: str = "") -> str:
    shape, r = SHAPES.get(look, "circle"), RADIUS * size  # type: ignore[call-overload]
    title = f"<title>{escape(label)}</title>" if label else ""
    if shape == "circle":
        return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}"{attributes}>{title}</circle>'
    turns, radii = {
        "triangle": (3, (1.35, 1.35)), "square": (4, (1.3, 1.3)), "diamond": (4, (1.5, 1.5)),
        "star": (10, (2.6, 1.1)),
    }[shape]  # fmt: skip
    begin = math.pi / 4 if shape == "square" else 0.0
    path = " ".join(
        f"{_n(x + r * radii[i % 2] * math.sin(angle))},{_n(y - r * radii[i % 2] * math.cos(angle))}"
        for i in range(turns)
        for angle in (begin + 2 * math.pi * i / turns,)
    )
    return f'<polygon points="{path}"{attributes}>{title}</polygon>'


def _n(value: float) -> str:
    """Write a coordinate in as few characters as a screen can tell apart."""
    return f"{value:.1f}".removesuffix(".0")
