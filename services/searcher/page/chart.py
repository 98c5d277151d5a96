"""What a chart shows, apart from how it is drawn: the page and the figures' files show the same numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from matplotlib.ticker import MaxNLocator

from services.common.drawing import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION

_WIDE = 10.0
"""A cost axis is logarithmic where the largest value exceeds the least by more than this factor."""


class Look(StrEnum):
    """Role of what is drawn, which decides its colour and shape; the values are the page's CSS classes."""

    DRAWN = "drawn"
    MODELLED = "modelled"
    MUTATED = "mutated"
    ENQUEUED = "enqueued"
    FRONT = "front"
    BEST = "best"
    REFERENCE = "reference"
    SHADED = "shaded"
    STUDY_1 = "study1"
    STUDY_2 = "study2"
    STUDY_3 = "study3"
    STUDY_4 = "study4"
    STUDY_5 = "study5"
    STUDY_6 = "study6"


STUDIES = tuple(look for look in Look if look.startswith("study"))

COLOURS = {
    Look.DRAWN: GREY, Look.MODELLED: BLUE, Look.MUTATED: GREEN, Look.FRONT: VERMILION, Look.BEST: ORANGE,
    Look.ENQUEUED: PURPLE,
    Look.REFERENCE: PURPLE, Look.SHADED: INK, Look.STUDY_1: BLUE, Look.STUDY_2: VERMILION,
    Look.STUDY_3: GREEN, Look.STUDY_4: PURPLE, Look.STUDY_5: ORANGE, Look.STUDY_6: SKY,
}  # fmt: skip

SHAPES = {
    Look.MUTATED: "triangle", Look.ENQUEUED: "square",
    Look.BEST: "star", Look.REFERENCE: "diamond", Look.STUDY_2: "square",
    Look.STUDY_3: "triangle", Look.STUDY_4: "diamond", Look.STUDY_5: "circle", Look.STUDY_6: "square",
}  # fmt: skip
"""Beside the colour, for whoever cannot tell colours apart; what is not named is a circle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One point.

    Parameters
    ----------
    x, y : float
    error : float
        Of `y`, one standard error; 0 draws none.
    label : str
        What a reader is told who points at it.
    number : int or None
        Of the trial that it is.
    shade_frac : float or None
        Place on the chart's scale of colours, 0 to 1.
    """

    x: float
    y: float
    error: float = 0.0
    label: str = ""
    number: int | None = None
    shade_frac: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Points of one kind; an empty `name` is not in the legend, `named` writes the labels beside them."""

    name: str
    look: Look
    marks: tuple[Mark, ...]
    named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line in steps: its value stays until the next corner."""

    name: str
    look: Look
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A line over the whole chart, at a value of the axis ``x`` or ``y``."""

    axis: str
    value: float
    label: str
    look: str = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A histogram: `counts` between neighbouring `edges`."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis; a logarithmic one holds positive values alone."""

    label: str
    log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart.

    Parameters
    ----------
    name : str
        Of its files.
    title, note : str
        Above it and below it.
    x, y : Axis
    points, lines, rules : tuple
        In the order in which they are drawn.
    bars : Bars or None
    shade : tuple of (str, float, float) or None
        What the marks' colours tell, and the values at 0 and 1.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    note: str = ""
    points: tuple[Points, ...] = ()
    lines: tuple[Line, ...] = ()
    rules: tuple[Rule, ...] = ()
    bars: Bars | None = None
    shade: tuple[str, float, float] | None = None

    def limits(self, which: str) -> tuple[float, float]:
        """Give the ends of the axis ``x`` or ``y``: all that is drawn, and a margin."""
        axis = self.x if which == "x" else self.y
        found = [*self._values(which)] or [0.0, 1.0]
        low, high = min(found), max(found)
        if axis.log:
            margin = (high / low) ** 0.05 if high > low else 1.5
            return low / margin, high * margin
        margin = 0.05 * (high - low) or abs(high) * 0.05 or 0.5
        # Nothing that is drawn is negative, so neither is an axis.
        bottom = 0.0 if which == "y" and self.bars else max(low - margin, 0.0) if low >= 0 else low - margin
        return bottom, high + margin

    def _values(self, which: str) -> Iterable[float]:
        for mark in (mark for series in self.points for mark in series.marks):
            if which == "x":
                yield mark.x
            else:
                yield from (mark.y - mark.error, mark.y + mark.error)
        for line in self.lines:
            yield from (corner[which == "y"] for corner in line.corners)
        yield from (rule.value for rule in self.rules if rule.axis == which)
        if self.bars:
            yield from self.bars.edges if which == "x" else (0.0, float(max(self.bars.counts)))


def is_wide(values: Iterable[float]) -> bool:
    """Whether positive values span so much that only a logarithmic axis shows them."""
    found = [*values]
    return bool(found) and max(found) > _WIDE * min(found) > 0


def ticks(axis: Axis, low: float, high: float, count: int = 6) -> list[float]:
    """Give the values to be written along an axis."""
    if axis.log:
        steps = (1, 2, 5) if high < 10**2.5 * low else (1,)
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [step * 10.0**decade for decade in decades for step in steps]
    else:
        found = [*MaxNLocator(count, steps=[1, 2, 2.5, 5, 10], integer=axis.whole).tick_values(low, high)]
    return [float(value) for value in found if low <= value <= high]


def corners(line: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Give the points that a line in steps runs through."""
    path = [*line[:1]]
    for (_, before), (x, y) in pairwise(line):
        path += [(x, before), (x, y)]
    return path
