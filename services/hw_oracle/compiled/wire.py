"""Networks as they travel, imcnas.v1.LayerList in protobuf's encoding -> the kernel's records.

Reading the fields of a parsed message takes Python longer than the kernel takes for the network. What is not
plainly a network is left out, and so to the reference; a field that is not set has its default here as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from services.common.layers import Bits, PoolMode
from services.hw_oracle.compiled.jit import entry, part
from services.hw_oracle.compiled.pack import Packed
from services.hw_oracle.compiled.records import COLUMNS, CONV2D, KINDS, LAYER

_COLUMNS = LAYER.names or ()
FIRST_INPUT, INPUTS, STRIDE, GROUPS, INPUT_BITS = map(
    _COLUMNS.index, ("first_input", "inputs", "stride", "groups", "input_bits")
)
UNKNOWN, BITS, MODE = -1, COLUMNS, COLUMNS + 1

FIELDS = {
    "conv2d": ("out_channels", "kernel_size", "stride", "padding", "groups", "bits"),
    "linear": ("out_features", "bits"),
    "pool2d": ("kernel_size", "stride", "padding", "mode", "bits"),
    "add": ("bits",),
    "multiply": ("bits",),
    "concat": ("bits",),
}
"""Fields of each kind's message from number 2 on, number 1 being its inputs; kinds in Layer's order."""

_PLACES = {"out_features": _COLUMNS.index("out_channels"), "bits": BITS, "mode": MODE}
PLACES = np.full((len(KINDS), 8), UNKNOWN)
"""Where the value of a field goes, by kind and number."""
for _kind, _names in FIELDS.items():
    for _number, _name in enumerate(_names, 2):
        PLACES[KINDS.index(_kind), _number] = _PLACES[_name] if _name in _PLACES else _COLUMNS.index(_name)

DEFAULT_BITS = np.array([Bits().input_bits, Bits().weight_bits, Bits().output_bits])
MODES = len(PoolMode)

VARINT, LENGTH = 0, 2
"""Wire types of protobuf; 1 and 5 are fixed widths."""

BROKEN = -1
"""Place behind what cannot be read."""


def decode(bodies: Sequence[bytes], layers: int) -> Packed:
    """Read networks.

    Parameters
    ----------
    bodies : sequence of bytes
        LayerList messages.
    layers : int
        Of all of them together.

    Returns
    -------
    Packed
        What is no network has an image of no size, which the kernel refuses.
    """
    data = np.frombuffer(b"".join(bodies), np.uint8)
    count = len(bodies)
    ends = np.cumsum(np.array([len(body) for body in bodies], np.int64))
    images = np.zeros((count, 3), np.int64)
    starts, input_starts = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    matrix, inputs = np.empty((layers, COLUMNS), np.int64), np.empty(len(data), np.int64)
    _decode_all(data, ends, images, starts, matrix, input_starts, inputs)
    return Packed(
        images, starts, matrix.ravel().view(LAYER)[: starts[-1]], input_starts, inputs[: input_starts[-1]]
    )


@part
def _varint(data: Any, at: int, end: int) -> tuple[int, int]:
    """Read a number; with it the place behind it."""
    value, shift = np.uint64(0), np.uint64(0)
    for i in range(at, min(end, at + 10)):
        value |= np.uint64(data[i] & 0x7F) << shift
        if data[i] < 0x80:
            return np.int64(value), i + 1  # type: ignore[return-value]  # numba's int
        shift += np.uint64(7)
    return 0, BROKEN


@part
def _field(data: Any, at: int, end: int) -> tuple[int, bool, int, int, int]:
    """Read a field: its number, whether it holds a number, which or how many bytes, their begin and end."""
    tag, at = _varint(data, at, end)
    wire, value = tag & 7, 0
    if at == BROKEN or tag < 8:
        return 0, False, 0, 0, BROKEN
    if wire in (VARINT, LENGTH):
        value, at = _varint(data, at, end)
        behind = at + value if wire == LENGTH else at
        if at == BROKEN or (wire == LENGTH and not 0 <= value <= end - at):
            return 0, False, 0, 0, BROKEN
    elif wire == 1 or wire == 5:
        behind = at + (8 if wire == 1 else 4)
        tag = 0  # no field of ours has a fixed width
    else:
        return 0, False, 0, 0, BROKEN
    return tag >> 3, wire == VARINT, value, at, (behind if behind <= end else BROKEN)


@part
def _numbers(data: Any, at: int, end: int, out: Any) -> bool:
    """Read a message of up to three numbers, fields 1 to 3."""
    while at < end:
        number, is_number, value, _, at = _field(data, at, end)
        if at == BROKEN or (1 <= number <= 3 and not is_number):
            return False
        if 1 <= number <= 3:
            out[number - 1] = value
    return True


@part
def _layer(data: Any, at: int, end: int, kind: int, row: Any, inputs: Any, place: int) -> int:
    """Read the message of a layer's kind; the place behind its inputs."""
    row[:] = 0
    row[0] = kind
    if kind == CONV2D:
        row[STRIDE] = row[GROUPS] = 1
    row[INPUT_BITS:] = DEFAULT_BITS
    while at < end:
        number, is_number, value, begin, at = _field(data, at, end)
        if at == BROKEN:
            return BROKEN
        if number == 1:
            if is_number:
                inputs[place] = value
                place += 1
            while not is_number and begin < at:
                inputs[place], begin = _varint(data, begin, at)
                if begin == BROKEN:
                    return BROKEN
                place += 1
            continue
        column = PLACES[kind, number] if number < PLACES.shape[1] else UNKNOWN
        if column == UNKNOWN:
            continue
        if column == BITS:
            if not _numbers(data, begin, at, row[INPUT_BITS:]):
                return BROKEN
        elif not is_number or (column == MODE and not 0 <= value <= MODES):
            return BROKEN
        elif column != MODE:
            row[column] = value
    return place


@part
def read_network(data: Any, at: int, end: int, image: Any, matrix: Any, inputs: Any) -> tuple[int, int]:
    """Read a network; how many layers and inputs it has, the former BROKEN if it is none."""
    count, place = 0, 0
    while at < end:
        number, _, _, begin, at = _field(data, at, end)
        if at == BROKEN:
            return BROKEN, 0
        if number == 1 and not _numbers(data, begin, at, image):
            return BROKEN, 0
        if number == 2:
            kind, is_number, _, inner, behind = _field(data, begin, at)
            if is_number or behind != at or not 1 <= kind <= len(KINDS) or count == len(matrix):
                return BROKEN, 0  # none or several kinds, or what is not ours beside it
            row = matrix[count]
            first = place
            place = _layer(data, inner, at, kind - 1, row, inputs, place)
            if place == BROKEN:
                return BROKEN, 0
            row[FIRST_INPUT], row[INPUTS] = first, place - first
            count += 1
    return count, place


def _make_decode_all(sources: str) -> Callable[..., None]:
    def decode_all(
        data: Any, ends: Any, images: Any, starts: Any, matrix: Any, input_starts: Any, inputs: Any
    ) -> None:
        sources  # noqa: B018  # what the machine code was made of
        at = 0
        for n in range(len(ends)):
            first, place = starts[n], input_starts[n]
            layers, read = read_network(data, at, ends[n], images[n], matrix[first:], inputs[place:])
            if layers == BROKEN:
                images[n, :] = 0
                layers = read = 0
            starts[n + 1], input_starts[n + 1] = first + layers, place + read
            at = ends[n]

    return decode_all


_decode_all = entry(_make_decode_all)
