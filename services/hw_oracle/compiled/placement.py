"""How far layers lie apart: `services.hw_oracle.placement`, compiled.

The largest distance from a cell to a set needs only the set's extremes of u = row + column and of
v = row - column; the extremes of several sets together are those of their extremes.
"""

from __future__ import annotations

from math import inf
from typing import Any

from services.hw_oracle.compiled.jit import part
from services.hw_oracle.compiled.records import ADD, CONCAT, MULTIPLY
from services.hw_oracle.placement import UNREACHED_HOPS


@part
def measure_distances(layers: Any, inputs: Any, costs: Any, chip: Any, cells: Any) -> None:
    """Fill in each layer's merge and transfer distance.

    `cells` has a row each of u, v, distance to the accumulator and place in row-major order, for each tile.
    """
    count = len(layers)
    for i in range(count):
        costs[i].merge_distance_hops = costs[i].transfer_distance_hops = 0.0
    if not chip.placed or count == 1:
        return
    for i in range(count):
        _own_extremes(costs[i], cells)
        cost = costs[i]
        cost.leaves, cost.consumed, cost.all_elementwise = 0, 0, 1
        cost.to_u0 = cost.to_v0 = inf
        cost.to_u1 = cost.to_v1 = -inf
        cost.to_accumulator = 0.0
    costs[count - 1].leaves = 1
    for i in range(count - 1, -1, -1):  # whoever reads a layer comes behind it
        layer, cost = layers[i], costs[i]
        for j in range(layer.first_input, layer.first_input + layer.inputs):
            if inputs[j] >= 0:
                _add_reader(layer.kind, cost, costs[inputs[j]])
        if layer.kind != CONCAT:
            _measure(layer.kind, cost, cells)


@part
def _own_extremes(cost: Any, cells: Any) -> None:
    u0, u1, v0, v1 = inf, -inf, inf, -inf
    first, to_accumulator = inf, 0.0
    for t in range(cost.first_tile, cost.first_tile + cost.tiles):
        u, v = cells[0, t], cells[1, t]
        u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
        if cells[3, t] < first:
            first, to_accumulator = cells[3, t], cells[2, t]
    cost.own_u0, cost.own_u1, cost.own_v0, cost.own_v1 = u0, u1, v0, v1
    cost.first_to_accumulator = to_accumulator


@part
def _add_reader(kind: int, reader: Any, source: Any) -> None:
    """Tell a source of one that reads it; a concat stands for its own readers."""
    elementwise = kind in (ADD, MULTIPLY)
    if kind == CONCAT:
        source.leaves |= reader.leaves
        source.consumed |= reader.consumed
        source.all_elementwise &= reader.all_elementwise
        u0, u1, v0, v1 = reader.to_u0, reader.to_u1, reader.to_v0, reader.to_v1
        to_accumulator = reader.to_accumulator
    else:
        source.consumed = 1
        source.all_elementwise &= elementwise
        u0, u1, v0, v1 = reader.own_u0, reader.own_u1, reader.own_v0, reader.own_v1
        to_accumulator = 0.0 if elementwise else reader.first_to_accumulator
    source.to_u0, source.to_u1 = min(source.to_u0, u0), max(source.to_u1, u1)
    source.to_v0, source.to_v1 = min(source.to_v0, v0), max(source.to_v1, v1)
    source.to_accumulator = max(source.to_accumulator, to_accumulator)


@part
def _measure(kind: int, cost: Any, cells: Any) -> None:
    if kind in (ADD, MULTIPLY):
        cost.transfer_distance_hops = cost.to_accumulator
        return
    ends = cost.leaves and not cost.consumed
    best, best_place, merge, transfer = inf, inf, 0.0, 0.0
    for t in range(cost.first_tile, cost.first_tile + cost.tiles):
        u, v = cells[0, t], cells[1, t]
        within = max(max(u - cost.own_u0, cost.own_u1 - u), max(v - cost.own_v0, cost.own_v1 - v))
        out = 0.0
        if not ends:
            if cost.all_elementwise:
                out = cells[2, t]
            else:
                out = max(max(u - cost.to_u0, cost.to_u1 - u), max(v - cost.to_v0, cost.to_v1 - v))
        way = within + out
        if way < best or (way == best and cells[3, t] < best_place):
            best, best_place, merge, transfer = way, cells[3, t], within, out
    if ends or best < UNREACHED_HOPS:
        cost.merge_distance_hops, cost.transfer_distance_hops = merge, transfer
