"""When each output point finishes: `services.hw_oracle.schedule`, compiled, a row of points at a time.

``finish(t) = max(ready(t), finish(t - 1)) + D(t)`` is a chain: each point waits for the one before, some
eight cycles of a core. The chain is broken by rows: a row scanned as if nothing came before it gives
``local(r, c)``, and what came before can only shift the row's start, so

    finish(r, c) = max(local(r, c), finish(r - 1, last) + D(r, 0) + c D(r, 1))

as D is the same for all points of a row behind the first. The scans of all rows go side by side, and only
the last points of the rows form a chain.

A layer's finish times lie column by column, so that neighbours in memory are of different rows and one
instruction works on several. Columns are padded to whole turns of such a loop; what is computed there means
nothing. Places are unsigned: numba takes a signed one to be possibly negative and gives the loop up.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from services.hw_oracle.compiled.jit import part
from services.hw_oracle.compiled.records import CONCAT, CONV2D, NO_PIPELINE, POOL2D

TURN = 16
"""Values that a turn of a compiled loop works on: four instructions of four."""

MOST_PADDED = 256
"""Widest map whose columns are padded: a wide, low one would only grow."""

READS = 16
"""Values of further inputs that are read in the time in which one is written."""


@part
def place_layers(layers: Any, inputs: Any, costs: Any) -> tuple[int, int, int]:
    """Say where the finish times of each layer lie: where those of a layer lay that none reads any more.

    What the next layers need so stays small, and near the core.

    Returns
    -------
    int
        Values of all places; there begins the spare room.
    int
        Values with the spare room, of twice the largest layer.
    int
        Work of scheduling: some nanoseconds each.
    """
    most, together, read = 0, 0, 0
    for i in range(len(costs)):
        cost = costs[i]
        cost.finish_at, cost.column = together, cost.height
        if cost.width <= MOST_PADDED and cost.height > 1:
            cost.column = -(-cost.height // TURN) * TURN
        most = max(most, cost.width * cost.column)
        together += cost.width * cost.column
        read += cost.width * cost.column * layers[i].inputs
    work = together + read // READS
    places, free = 0, -1  # the free places are a chain through `next_free`
    for i in range(len(layers)):
        layer, cost = layers[i], costs[i]
        if free >= 0:
            place, free = free, costs[free].next_free
        else:
            place = places
            places += 1
        cost.place = cost.own_place = place
        for j in range(layer.first_input, layer.first_input + layer.inputs):
            source = inputs[j]
            if source >= 0 and costs[source].read == i + 1 and costs[source].place >= 0:
                costs[costs[source].place].next_free, free = free, costs[source].place
                costs[source].place = -1  # it may be read twice
        if cost.read == 0:
            costs[place].next_free, free = free, place
    if places * most > together:  # one large layer among many small ones: each has its own room
        return together, together + 2 * most, work
    for cost in costs:
        cost.finish_at = cost.own_place * most
    return places * most, (places + 2) * most, work


@part
def schedule_layer(
    layers: Any, inputs: Any, costs: Any, index: int, chip: Any, finish: Any, spare_at: int
) -> None:
    """Fill in a layer's finish times, its first begin and its last finish.

    `finish` holds the times of layers as `place_layers` says, and spare room from place `spare_at` on.
    """
    layer, cost = layers[index], costs[index]
    source = inputs[layer.first_input]
    windowed = (layer.kind == CONV2D or layer.kind == POOL2D) and chip.pipeline != NO_PIPELINE
    first = max(layer.kernel_size - layer.padding, 1)
    if windowed and layer.stride == 1 and source >= 0:
        _scan(finish, cost, costs[source].finish_at, costs[source], first)
        return
    spare = cost.finish_at if layer.kind == CONCAT else spare_at
    for j in range(layer.inputs):
        source = inputs[layer.first_input + j]
        if source < 0:
            _wait_for_point(finish, cost, spare, 0.0, j == 0)
        elif windowed:
            _wait_for_windows(finish, cost, spare, costs[source], first, layer.stride)
        elif layer.kind > POOL2D and costs[source].height * costs[source].width == cost.height * cost.width:
            _wait_for_points(finish, cost, spare, costs[source].finish_at, j == 0)
        else:  # for the last point; of what an element-wise layer broadcasts, the only one
            _wait_for_point(finish, cost, spare, costs[source].finish_ns, j == 0)
    if layer.kind == CONCAT:  # which takes no time
        cost.begin_ns = finish[spare]
        cost.finish_ns = finish[spare + (cost.width - 1) * cost.column + cost.height - 1]
    else:
        _scan(finish, cost, spare, cost, 1)


@part
def _later(a: float, b: float) -> float:
    return a if a > b else b  # one instruction, where max() minds NaN


@part
def _wait_for_point(finish: Any, cost: Any, spare: int, ready_ns: float, alone: bool) -> None:
    for t in range(np.uint64(spare), np.uint64(spare + cost.width * cost.column)):
        finish[t] = ready_ns if alone else _later(finish[t], ready_ns)


@part
def _wait_for_points(finish: Any, cost: Any, spare: int, theirs: int, alone: bool) -> None:
    own, other = np.uint64(spare), np.uint64(theirs)
    for t in range(np.uint64(cost.width * cost.column)):
        finish[own + t] = finish[other + t] if alone else _later(finish[own + t], finish[other + t])


@part
def _wait_for_windows(finish: Any, cost: Any, spare: int, source: Any, first: int, stride: int) -> None:
    """Take over the finish of the bottom right point of each window."""
    whole = min(cost.height, max(0, (source.height - first) // stride + 1))  # rows whose window ends inside
    for c in range(cost.width):
        column = source.finish_at + (min(first + stride * c, source.width) - 1) * source.column
        own, theirs = np.uint64(spare + c * cost.column), np.uint64(column + first - 1)
        for r in range(np.uint64(whole)):
            finish[own + r] = finish[theirs + np.uint64(stride) * r]
        last = finish[column + source.height - 1]
        for r in range(np.uint64(whole), np.uint64(cost.height)):
            finish[own + r] = last


@part
def _scan(finish: Any, cost: Any, ready: int, source: Any, first: int) -> None:
    """Find when points finish whose windows, of stride 1, begin with `first` points a side.

    `source` is the map that the windows are of; its finish times lie from place `ready` on.
    """
    height, width, column = cost.height, cost.width, np.uint64(cost.column)
    at = np.uint64(cost.finish_at)
    whole = min(height, max(0, source.height - first + 1))  # rows whose window ends inside
    top, bottom = min(first, source.height) - 1, source.height - 1
    later_ns = cost.inside_ns
    before, now = at, at
    for c in range(width):
        there = np.uint64(ready + (min(first + c, source.width) - 1) * source.column + top)
        if c == 0:
            for r in range(column):
                finish[now + r] = finish[there + r] + cost.first_column_ns
        else:
            for r in range(column):
                finish[now + r] = _later(finish[there + r], finish[before + r]) + later_ns
        before, now = now, now + column
    # The first row takes other times, the rows below `whole` wait for other points. They come behind the
    # others, as a single value in the midst of a column would hold up the next one's reading of it.
    cost.begin_ns = finish[np.uint64(ready + (min(first, source.width) - 1) * source.column + top)]
    _scan_row(finish, cost, ready, source, first, 0, top, cost.corner_ns, cost.first_row_ns)
    for row in range(max(whole, 1), height):
        _scan_row(finish, cost, ready, source, first, row, bottom, cost.first_column_ns, later_ns)
    _join_rows(finish, cost)


@part
def _scan_row(
    finish: Any, cost: Any, ready: int, source: Any, first: int, row: int, waits_for: int, first_ns: float,
    later_ns: float,
) -> None:  # fmt: skip
    now, column, end_ns, duration_ns = np.uint64(cost.finish_at + row), np.uint64(cost.column), -inf, first_ns
    for c in range(cost.width):
        there = np.uint64(ready + (min(first + c, source.width) - 1) * source.column + waits_for)
        end_ns = _later(finish[there], end_ns) + duration_ns
        finish[now] = end_ns
        now, duration_ns = now + column, later_ns


@part
def _join_rows(finish: Any, cost: Any) -> None:
    """Let each row begin behind the end of the one before."""
    height, width, column = np.uint64(cost.height), cost.width, np.uint64(cost.column)
    at = np.uint64(cost.finish_at)
    last = at + np.uint64(width - 1) * column
    starts = np.uint64(len(finish)) - column  # the end of the room
    row_ns = cost.first_column_ns + (width - 1) * cost.inside_ns
    end_ns, held_up = finish[last], False
    finish[starts] = -inf
    for r in range(np.uint64(1), height):
        start_ns = end_ns + cost.first_column_ns
        finish[starts + r] = start_ns
        held_up |= start_ns > finish[at + r]
        end_ns = _later(finish[last + r], end_ns + row_ns)
    if held_up:  # else every row begins behind the one before anyway
        now = at
        for c in range(width):
            passed_ns = c * cost.inside_ns
            for r in range(column):
                finish[now + r] = _later(finish[now + r], finish[starts + r] + passed_ns)
            now = now + column
    cost.finish_ns = finish[last + height - np.uint64(1)]  # to the bit what its readers see
