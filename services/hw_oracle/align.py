"""Layers of several networks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from services.common.layers import LayerList

Row = tuple[int | None, ...]
"""A layer's index in each network; None where a network has no such layer."""


def alike(networks: Sequence[LayerList]) -> bool:
    """Whether the layers of all networks are of the same kinds, one after the other."""
    return len({tuple(layer.kind for layer in network.layers) for network in networks}) == 1


def align(networks: Sequence[LayerList]) -> list[Row]:
    """Put the layers of several networks side by side.

    Networks that are `alike` by index. Others by kind, each with the first as lines of text are compared: the
    longest runs of equal kinds come together, and what only one of the two has stands alone.
    """
    first, *others = networks
    if alike(networks):
        return [(index,) * len(networks) for index in range(len(first.layers))]
    rows: list[list[int | None]] = [[index, *(None for _ in others)] for index in range(len(first.layers))]
    alone: list[list[list[int | None]]] = [
        [] for _ in range(len(first.layers) + 1)
    ]  # before each of the first
    kinds = [layer.kind for layer in first.layers]
    for column, other in enumerate(others, start=1):
        matcher = SequenceMatcher(None, kinds, [layer.kind for layer in other.layers], autojunk=False)
        for tag, begin, end, other_begin, other_end in matcher.get_opcodes():
            for offset, index in enumerate(range(other_begin, other_end)):
                if tag == "equal":
                    rows[begin + offset][column] = index
                else:
                    row: list[int | None] = [None] * len(networks)
                    row[column] = index
                    alone[end].append(row)
    aligned = [row for position, row in enumerate(rows) for row in (*alone[position], rows[position])]
    return [tuple(row) for row in (*aligned, *alone[-1])]
