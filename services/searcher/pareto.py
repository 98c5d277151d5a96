"""Domination, front and hypervolume of points whose every coordinate is minimised (negate an accuracy)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Point = tuple[float, ...]


def dominates(a: Point, b: Point) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def front_indices(points: Sequence[Point]) -> list[int]:
    """Find the undominated points, in rising order of the points; equal points are all kept."""
    found: list[int] = []
    for i in sorted(range(len(points)), key=points.__getitem__):
        # Sorted, a point can be dominated only by an earlier one, hence by one of the front so far.
        if not any(dominates(points[j], points[i]) for j in found):
            found.append(i)
    return found


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Exact volume between the points and `reference` that at least one point dominates.

    Slices along the last coordinate: between two neighbouring values the volume is the slab's height
    times the hypervolume, one dimension lower, of the points below it. Meant for fronts of two or three
    dimensions. Points that are not better than `reference` everywhere add nothing.
    """
    inside = [p for p in points if all(x < r for x, r in zip(p, reference, strict=True))]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(p[0] for p in inside)
    inside.sort(key=lambda p: p[-1])
    tops = [p[-1] for p in inside[1:]] + [reference[-1]]
    return sum(
        (top - point[-1]) * hypervolume([p[:-1] for p in inside[:n]], reference[:-1])
        for n, (point, top) in enumerate(zip(inside, tops, strict=True), start=1)
        if top > point[-1]
    )


def nondominated_ranks(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Count, of n x dimensions points, how many fronts have to be taken away before each is on the front."""
    ranks = np.full(len(points), -1)
    left = np.arange(len(points))
    rank = 0
    while len(left):
        here = points[left]
        no_worse = (here[:, None] <= here[None]).all(2)
        dominated = (no_worse & ~no_worse.T).any(0)
        ranks[left[~dominated]] = rank
        left, rank = left[dominated], rank + 1
    return ranks


def crowding(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Measure how alone each of n x dimensions points stands: NSGA-II's crowding distance."""
    total = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        spread = values[order[-1]] - values[order[0]] if len(order) else 0.0
        total[order[:1]] = total[order[-1:]] = np.inf
        if spread > 0:
            total[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / spread
    return total
