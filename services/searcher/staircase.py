"""The front of accuracy against one cost, grown point by point, and the hypervolume below it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import itemgetter


class Staircase:
    """Undominated points (cost, gain), the cost minimised and the gain maximised.

    Parameters
    ----------
    reference : float
        Cost at which nothing is gained any more; points at or beyond it, or of no gain, add nothing.

    Attributes
    ----------
    area : float
        What the points dominate of 0 <= gain and cost <= reference.
    """

    def __init__(self, reference: float) -> None:
        self._reference = reference
        self._steps: list[tuple[float, float]] = []  # both coordinates rise
        self.area = 0.0

    def add(self, cost: float, gain: float) -> bool:
        """Add a point; say whether it changed the area."""
        steps = self._steps
        at = bisect_left(steps, (cost, gain))
        if cost >= self._reference or gain <= 0 or (at and steps[at - 1][1] >= gain):
            return False
        if at < len(steps) and steps[at] == (cost, gain):
            return False
        end = at
        while end < len(steps) and steps[end][1] <= gain:
            end += 1
        begin = at
        while begin and steps[begin - 1][0] >= cost:  # as dear, with less gain
            begin -= 1
        steps[begin:end] = [(cost, gain)]
        ends = [x for x, _ in steps[1:]] + [self._reference]
        self.area = sum((right - x) * y for (x, y), right in zip(steps, ends, strict=True))
        return True


def volume(points: Iterable[tuple[float, float, float]], references: tuple[float, float]) -> float:
    """Give the volume of gain and two costs that points (cost, cost, gain) dominate, below the references."""
    ordered = sorted((p for p in points if p[1] < references[1]), key=itemgetter(1))
    stairs, total = Staircase(references[0]), 0.0
    tops = [p[1] for p in ordered[1:]] + [references[1]]
    for (cost, height, gain), top in zip(ordered, tops, strict=False):  # without points there is one top
        stairs.add(cost, gain)
        total += stairs.area * (top - height)
    return total
