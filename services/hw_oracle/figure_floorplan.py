"""Where the layers of a network are on the grid, as a figure. Matplotlib is loaded when it is drawn."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from services.common.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    head,
    new_figure,
)
from services.common.errors import NotPossible
from services.hw_oracle.describe import layer_text
from services.hw_oracle.mapping import is_elementwise
from services.hw_oracle.placement import positions
from services.hw_oracle.types import Placement
from services.hw_oracle.worked import Worked

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Owners = npt.NDArray[np.int64]
"""Layer of each tile of a part of the grid, shape (rows, columns); _UNUSED where it has none."""

_UNUSED = -1

LAYER_COLOURS = (SKY, ORANGE, GREEN, PURPLE, YELLOW, BLUE, VERMILION, GREY)
"""Colours of layers by turns; numbers tell those apart that share one."""

_TINT = 0.45
"""Share of white in a tile's colour: dark numbers can be read on all of them."""

_BESIDE_IN, _ABOVE_IN = (4.6, 6.9), (12.8, 6.0)
"""Largest width and height of a plan that is beside the list of layers, and of one above it."""

_LINE_IN, _ENTRY_IN = 0.185, 2.5
_MOST_LISTED = 120
"""Layers that the list tells; more have their numbers alone."""

_RING: dict[str, Any] = {"color": INK, "markerfacecolor": "none", "marker": "o", "linestyle": "none"}
_ACCUMULATOR: dict[str, Any] = {"color": VERMILION, "marker": "D", "markersize": 6, "linestyle": "none"}


def floorplan(worked: Worked, about: str) -> Figure:
    """Draw the tiles of the grid, those in use in the colour of their layer and with its number.

    Of the grid, the part in use is drawn. A ring marks the tile where a layer's tiles merge, a diamond the
    accumulator of add and multiply layers, at the middle of the grid's left side.

    Raises
    ------
    NotPossible
        The chip places nothing.
    """
    from matplotlib.ticker import MaxNLocator

    chip, layers = worked.chip, worked.mapping.layers
    if chip.placement is Placement.NONE:
        raise NotPossible("the chip's placement is none: nothing is placed; set it to shell, say")
    cells = positions(chip, worked.mapping.tiles)
    owners = np.repeat(np.arange(len(layers)), [layer.tiles for layer in layers])
    height = min(chip.grid_rows, int(cells[0].max(initial=0)) + 2)
    width = min(chip.grid_columns, int(cells[1].max(initial=0)) + 2)
    beside = width <= 1.6 * height
    most_in = _BESIDE_IN if beside else _ABOVE_IN
    cell_in = min(0.4, most_in[0] / width, most_in[1] / height)
    plan_in = (width * cell_in, height * cell_in)
    accumulates = any(is_elementwise(layer) for layer in worked.network.layers)
    accumulator_row = chip.grid_rows / 2
    outside = accumulates and accumulator_row > height - 0.5
    handles = _list_layers(worked, accumulates and not outside)
    if beside:
        list_columns = ceil(len(handles) * _LINE_IN / max(3.0, plan_in[1] + 1))
        list_in = (_ENTRY_IN * list_columns, _LINE_IN * ceil(len(handles) / list_columns))
        size_in = (plan_in[0] + list_in[0], max(plan_in[1] + 1.2, list_in[1] + 0.2))
    else:
        list_columns = max(2, int(plan_in[0] / _ENTRY_IN))
        list_in = (_ENTRY_IN * list_columns, _LINE_IN * ceil(len(handles) / list_columns))
        size_in = (max(plan_in[0], list_in[0]), plan_in[1] + list_in[1] + 1.2)
    figure = new_figure(size_in[0] + 0.9, size_in[1])
    axes = figure.subplots()
    owner_at = np.full((height + 2, width + 2), _UNUSED)  # with a rim
    owner_at[cells[0] + 1, cells[1] + 1] = owners
    _draw_tiles(axes, owner_at[1:-1, 1:-1], cell_in)
    _draw_borders(axes, owner_at)
    _draw_numbers(axes, worked, cells, owners, cell_in)
    if accumulates and not outside:
        axes.plot([-0.5], [accumulator_row], clip_on=False, zorder=5, **_ACCUMULATOR)
    axes.set(aspect="equal", anchor="NW")
    axes.set_xlabel("column of the grid", fontsize=9)
    axes.set_ylabel("row of the grid", fontsize=9)
    axes.spines[:].set_visible(False)
    axes.tick_params(which="both", length=0, labelsize=8, colors=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    grid = f"{len(owners):,} of {chip.grid_rows} × {chip.grid_columns} tiles · placement {chip.placement}"
    if outside:
        grid += f" · accumulator ↓ at row {accumulator_row:g}"
    head(axes, "Where each layer is", about, grid, width_in=max(2.5, plan_in[0]))
    figure.legend(
        handles=handles, ncols=list_columns, frameon=False, fontsize=7.5,
        loc="outside right upper" if beside else "outside lower left",
    )  # fmt: skip
    return figure


def _colour(layer: int) -> str:
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (
        _TINT + (1 - _TINT) * part for part in to_rgb(LAYER_COLOURS[layer % len(LAYER_COLOURS)])
    )
    return to_hex((red, green, blue))


def _draw_tiles(axes: Axes, owner_at: Owners, cell_in: float) -> None:
    """Draw every tile in the colour of its layer, with white lines between."""
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(PALE), *(to_rgb(_colour(layer)) for layer in range(len(LAYER_COLOURS)))])
    axes.imshow(colours[np.where(owner_at == _UNUSED, 0, owner_at % len(LAYER_COLOURS) + 1)])
    height, width = owner_at.shape
    axes.set_xticks(np.arange(-0.5, width), minor=True)
    axes.set_yticks(np.arange(-0.5, height), minor=True)
    axes.grid(which="minor", color="white", linewidth=min(0.8, 2 * cell_in))


def _draw_borders(axes: Axes, owner_at: Owners) -> None:
    """Draw lines between tiles of different layers; `owner_at` has a rim of unused ones."""
    from matplotlib.collections import LineCollection

    rows, columns = np.nonzero(owner_at[:, 1:] != owner_at[:, :-1])
    upright = [((x - 0.5, y - 1.5), (x - 0.5, y - 0.5)) for y, x in zip(rows, columns, strict=True)]
    rows, columns = np.nonzero(owner_at[1:] != owner_at[:-1])
    level = [((x - 1.5, y - 0.5), (x - 0.5, y - 0.5)) for y, x in zip(rows, columns, strict=True)]
    borders = LineCollection(
        upright + level, colors=INK, linewidths=0.9, capstyle="round", clip_on=False, zorder=3
    )
    axes.add_collection(borders)


def _draw_numbers(
    axes: Axes, worked: Worked, cells: npt.NDArray[np.int64], owners: npt.NDArray[np.int64], cell_in: float
) -> None:
    """Write its layer's number on each tile that is wide enough, and ring those where layers merge."""
    size = min(8.0, 72 * cell_in * 0.42)
    if size >= 3.5:
        for row, column, owner in zip(*cells, owners, strict=True):
            axes.text(column, row, str(owner), fontsize=size, ha="center", va="center", color=INK)
    merging = [way.merge_cell for way in worked.ways if way.merge_cell]
    rows, columns = zip(*merging, strict=True) if merging else ((), ())
    axes.plot(columns, rows, markersize=72 * cell_in * 0.82, label="merges here", zorder=4, **_RING)


def _list_layers(worked: Worked, accumulator: bool) -> list[Artist]:
    """Make what the list beside or below the plan tells."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = []
    for index, layer in enumerate(worked.mapping.layers):
        if layer.tiles:
            count = f"{layer.tiles:,} tile{'s' * (layer.tiles > 1)}"
            label = f"{index}  {layer_text(worked.network, index)} · {count}"
            handles.append(Patch(facecolor=_colour(index), edgecolor=INK, linewidth=0.6, label=label))
    left_out = len(handles) - _MOST_LISTED
    if left_out > 0:
        handles[_MOST_LISTED:] = [Patch(color="none", label=f"... and {left_out} more")]
    handles.append(Line2D([], [], label="the layer's tiles merge here", markersize=8, **_RING))
    if accumulator:
        handles.append(Line2D([], [], label="accumulator", **_ACCUMULATOR))
    return handles
