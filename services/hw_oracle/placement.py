"""Placement of tiles on the grid, and how far layers lie apart.

Equations: MNSIM 2.0, Mapping_Model/Tile_connection_graph.py. Distances are Manhattan, in hops. The largest
distance from a cell to a set of cells needs only the set's extremes of row + column and row - column.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
import numpy.typing as npt

from services.common.layers import NETWORK_INPUT, LayerList
from services.hw_oracle.mapping import Mapping, is_elementwise
from services.hw_oracle.types import ChipConfig, Placement

Cells = npt.NDArray[np.int64]
"""Cells of the grid: shape (2, n), rows and columns."""

UNREACHED_HOPS = 1000.0
"""A way of this length or more is never taken by MNSIM 2.0, and then costs nothing."""


def positions(chip: ChipConfig, tiles: int) -> Cells:
    """Cells of the first `tiles` tiles, in the order of the tiles; of any placement but NONE."""
    number = np.arange(tiles)
    match chip.placement:
        case Placement.SHELL:
            shell = np.sqrt(number).astype(np.int64)
            step = number - shell**2
            near, far = np.minimum(step, shell), np.minimum(2 * shell - step, shell)
            odd = shell % 2 == 1  # down the column and back along the row; even shells the other way
            return np.stack([np.where(odd, near, far), np.where(odd, far, near)])
        case Placement.ZIGZAG:
            # the corner of this side holds the first `tiles` cells of the order
            side = min(chip.grid_rows, isqrt(2 * tiles) + 1)
            row, column = np.indices((side, side)).reshape(2, -1)
            diagonal = row + column
            order = np.lexsort((np.where(diagonal % 2 == 1, row, -row), diagonal))[:tiles]
            return np.stack([row[order], column[order]])
        case _:
            row, column = np.divmod(number, chip.grid_columns)
            if chip.placement is Placement.SNAKE:
                column = np.where(row % 2 == 1, chip.grid_columns - 1 - column, column)
            return np.stack([row, column])


def distances_hops(network: LayerList, mapping: Mapping, chip: ChipConfig) -> list[tuple[float, float]]:
    """Merge and transfer distance of each layer.

    A layer's tiles merge at one of its cells: the one whose way to the layer's farthest tile and on to the
    farthest consumer's tile is shortest. The accumulator sits at the middle of the grid's left side; a layer
    read by add and multiply layers alone sends its output there. The network's input comes no way.

    Returns
    -------
    list of (float, float)
        Both in hops. The last layer sends its output nowhere.
    """
    count = len(network.layers)
    if chip.placement is Placement.NONE or count == 1:
        return [(0.0, 0.0)] * count
    cells = positions(chip, mapping.tiles)
    owned = []
    for layer in mapping.layers:
        own = cells[:, layer.first_tile : layer.first_tile + layer.tiles]
        owned.append(own[:, np.lexsort((own[1], own[0]))])  # row-major, as MNSIM visits them
    consumers: list[list[int]] = [[] for _ in range(count)]
    for index, layer_read in enumerate(network.layers):
        for source in layer_read.inputs:
            if source != NETWORK_INPUT:
                consumers[source].append(index)
    elementwise = [is_elementwise(layer) for layer in network.layers]
    found = []
    for index in range(count):
        own, readers = owned[index], consumers[index]
        if index == count - 1:
            merge = float(_farthest(own, own).min()) if own.size else 0.0
            found.append((merge, 0.0))
        elif elementwise[index]:
            firsts = [owned[r][:, :1] for r in readers if not elementwise[r]]
            found.append((0.0, max((float(_to_accumulator(c, chip)[0]) for c in firsts), default=0.0)))
        else:
            if all(elementwise[r] for r in readers):
                out = _to_accumulator(own, chip)
            else:
                out = _farthest(own, np.concatenate([owned[r] for r in readers], axis=1))
            within = _farthest(own, own)
            best = int(np.argmin(within + out))
            near = within[best] + out[best] < UNREACHED_HOPS
            found.append((float(within[best]), float(out[best])) if near else (0.0, 0.0))
    return found


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
