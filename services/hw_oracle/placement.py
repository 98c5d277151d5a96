"""Placement of tiles on the grid, and how far layers lie apart.

Equations: MNSIM 2.0, Mapping_Model/Tile_connection_graph.py. Distances are Manhattan, in hops. The largest
distance from a cell to a set of cells needs only the set's extremes of row + column and row - column.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
import numpy.typing as npt

from services.common.layers import NETWORK_INPUT, Concat, LayerList
from services.hw_oracle.mapping import Mapping, is_elementwise
from services.hw_oracle.types import ChipConfig, Placement

Cells = npt.NDArray[np.int64]
"""Cells of the grid: shape (2, n), rows and columns."""

UNREACHED_HOPS = 1000.0
"""A way of this length or more is never taken by MNSIM 2.0, and then costs nothing."""


def positions(chip: ChipConfig, tiles: int) -> Cells:
    """Cells of the first `tiles` tiles, in the order of the tiles; of any placement but NONE."""
    match chip.placement:
        case Placement.SHELL | Placement.ZIGZAG:
            # shells or diagonals, by turns in one sense and the other, of a corner that holds enough of them
            short = min(chip.grid_rows, chip.grid_columns)
            if chip.placement is Placement.SHELL:
                side = max(isqrt(tiles) + 1, -(-tiles // short))
            else:
                side = isqrt(2 * tiles) + 1
                side = side if side <= short else tiles // short + short
            row, column = np.indices((min(chip.grid_rows, side), min(chip.grid_columns, side))).reshape(2, -1)
            line = np.maximum(row, column) if chip.placement is Placement.SHELL else row + column
            along = np.where(line % 2 == 1, row - column, column - row)
            order = np.lexsort((along, line))[:tiles]
            return np.stack([row[order], column[order]])
        case _:
            row, column = np.divmod(np.arange(tiles), chip.grid_columns)
            if chip.placement is Placement.SNAKE:
                column = np.where(row % 2 == 1, chip.grid_columns - 1 - column, column)
            return np.stack([row, column])


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The way of a layer's output points.

    Parameters
    ----------
    merge_hops, transfer_hops : float
        From the layer's farthest tile to the one where its tiles merge, and on to the farthest consumer.
    merge_cell : tuple of int or None
        Row and column of that tile; None for a layer without tiles, and where nothing is placed.
    """

    merge_hops: float = 0.0
    transfer_hops: float = 0.0
    merge_cell: tuple[int, int] | None = None


def ways(network: LayerList, mapping: Mapping, chip: ChipConfig) -> list[Way]:
    """Find the way of each layer's output.

    A layer's tiles merge at one of its cells: the one whose way to the layer's farthest tile and on to the
    farthest consumer's tile is shortest. The accumulator sits at the middle of the grid's left side; a layer
    read by add and multiply layers alone sends its output there. The network's input comes no way.
    A concat is no stop on the way: what it joins goes straight to the concat's own consumers. The last
    layer, or what it joins if it is a concat, sends its output nowhere. A single layer has no way at all.
    """
    count = len(network.layers)
    if chip.placement is Placement.NONE:
        return [Way()] * count
    cells = positions(chip, mapping.tiles)
    owned = []
    for layer in mapping.layers:
        own = cells[:, layer.first_tile : layer.first_tile + layer.tiles]
        owned.append(own[:, np.lexsort((own[1], own[0]))])  # row-major, as MNSIM visits them
    corners = [_corners(own) for own in owned]
    consumers, leaving = _consumers(network)
    elementwise = [is_elementwise(layer) for layer in network.layers]
    found = []
    for index in range(count):
        own, readers = owned[index], sorted(consumers[index])
        if elementwise[index]:
            firsts = [owned[r][:, :1] for r in readers if not elementwise[r]]
            out_hops = max((float(_to_accumulator(c, chip)[0]) for c in firsts), default=0.0)
            found.append(Way(transfer_hops=out_hops))
            continue
        if not own.size:
            found.append(Way())
            continue
        within, leaves = _farthest(own, own), index in leaving and not readers
        if leaves:
            out = np.zeros(own.shape[1])
        elif all(elementwise[r] for r in readers):
            out = _to_accumulator(own, chip)
        else:
            out = _farthest(own, np.concatenate([corners[r] for r in readers], axis=1))
        best = int(np.argmin(within + out))
        near = count > 1 and (leaves or within[best] + out[best] < UNREACHED_HOPS)
        found.append(
            Way(
                merge_hops=float(within[best]) if near else 0.0,
                transfer_hops=float(out[best]) if near else 0.0,
                merge_cell=(int(own[0, best]), int(own[1, best])),
            )
        )
    return found


def _consumers(network: LayerList) -> tuple[list[set[int]], set[int]]:
    """Consumers of each layer, and the layers whose output is the last one's; both seen through concats."""
    consumers: list[set[int]] = [set() for _ in network.layers]
    leaving = {len(network.layers) - 1}
    for index, layer in reversed(list(enumerate(network.layers))):
        joins = isinstance(layer, Concat)
        sources = {source for source in layer.inputs if source != NETWORK_INPUT}
        for source in sources:
            consumers[source] |= consumers[index] if joins else {index}
        if joins and index in leaving:
            leaving |= sources
    return consumers, leaving


def _corners(cells: Cells) -> Cells:
    """Few of the cells, among which is the farthest of all from any cell."""
    if not cells.size:
        return cells
    along, across = cells[0] + cells[1], cells[0] - cells[1]
    return cells[:, [along.argmin(), along.argmax(), across.argmin(), across.argmax()]]


def _farthest(cells: Cells, targets: Cells) -> npt.NDArray[np.float64]:
    """Distance from each cell to the farthest target."""
    away = np.zeros(cells.shape[1])
    for sign in (1, -1):
        along = targets[0] + sign * targets[1]
        at = cells[0] + sign * cells[1]
        away = np.maximum(away, np.maximum(at - along.min(), along.max() - at))
    return away


def _to_accumulator(cells: Cells, chip: ChipConfig) -> npt.NDArray[np.float64]:
    """Distance from each cell to the accumulator."""
    distance: npt.NDArray[np.float64] = np.abs(cells[0] - chip.grid_rows / 2) + cells[1]
    return distance
