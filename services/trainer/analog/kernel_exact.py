"""The same bits as `exact`, in less time.

Where cells hold nothing but 0 and one level (they do not vary, but may stick) and a cycle feeds one bit, a
column's sum is a count of bits: rows and cells are packed into words, ANDed and counted. Elsewhere all
slices of a split are one convolution. Both read the sums, round, clip, shift and add them in one pass,
column beside column, so that the compiler makes vectors of them.

numba keeps machine code by this file; it calls no compiled function of another one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from numba.extending import intrinsic
from torch import Tensor

from services.trainer.analog.adc import Adc
from services.trainer.analog.cells import Cells
from services.trainer.analog.exact import corrected, digits, layer_adc, sums_precision
from services.trainer.analog.graph import convolve
from services.trainer.analog.quantise import EXACT, Crossbars
from services.trainer.analog.slices import channel_splits, read_signs
from services.trainer.analog_types import AnalogConfig

LANES = 256
"""Columns counted side by side, at most: their words, of 256 rows, fill half of a first-level cache."""

SUMS = 2**22
"""Sums convolved at a time, about: 16 MiB of them."""

POINTS = 1024
"""Output points packed at a time, about: what is packed stays in the cache."""

Words = npt.NDArray[np.uint32]


def fast_products(integers: Tensor, layer: Crossbars, cells: Cells, config: AnalogConfig) -> Tensor:
    """Compute what `exact_products` computes; the same arguments, the same bits."""
    adc = layer_adc(layer, cells, config)
    binary = config.dac_bits == 1 and cells.grid_bits == 0 and int(np.abs(cells.values).max()) <= 1
    codes = (_counted if binary else _convolved)(integers, layer, cells, adc, config)
    return corrected(codes * adc.step, integers, layer, cells, config)


def _places(config: AnalogConfig) -> npt.NDArray[np.float64]:
    """Give what a code of each read and slice is worth, in that order."""
    of_slices = 2.0 ** (np.arange(config.slices) * config.cell_bits)
    return np.concatenate([sign * of_slices for sign in read_signs(config)])


def _output_sides(integers: Tensor, layer: Crossbars) -> tuple[int, int]:
    kernel = layer.weights.shape[2]
    height, width = ((n + 2 * layer.padding - kernel) // layer.stride + 1 for n in integers.shape[2:])
    return height, width


def _convolved(integers: Tensor, layer: Crossbars, cells: Cells, adc: Adc, config: AnalogConfig) -> Tensor:
    precision = sums_precision(cells, config)
    values = torch.from_numpy(cells.values).flatten(0, 2)
    places, outputs = _places(config), layer.weights.shape[0]
    height, width = _output_sides(integers, layer)
    total = np.zeros((len(integers), height, width, outputs))
    images = max(1, SUMS // (height * width * len(places) * outputs))
    factor, limit = torch.tensor([adc.codes_per_sum, adc.limit], dtype=precision).numpy()
    for split in channel_splits(layer.weights, config):
        weights = values[:, split].to(precision, memory_format=torch.channels_last)
        for first, cycle in product(range(0, len(integers), images), range(config.cycles)):
            some = slice(first, first + images)
            fed = digits(integers[some, split], cycle, config)
            fed = fed.to(precision, memory_format=torch.channels_last)
            sums = convolve(fed, weights, layer.stride, layer.padding)
            columns = sums.permute(0, 2, 3, 1).contiguous().view(-1, len(places), outputs)
            worth = places * 2.0 ** (cycle * config.dac_bits)
            _read(columns.numpy(), factor, limit, worth, total[some].reshape(-1, outputs))
    return torch.from_numpy(total).permute(0, 3, 1, 2)


def _counted(integers: Tensor, layer: Crossbars, cells: Cells, adc: Adc, config: AnalogConfig) -> Tensor:
    kernel = layer.weights.shape[2]
    height, width = _output_sides(integers, layer)
    total = np.zeros((len(integers), height, width, layer.weights.shape[0]))
    x = np.ascontiguousarray(integers.numpy().astype(np.int16))
    images = max(1, POINTS // (height * width))
    factor = np.float32(adc.codes_per_sum)
    most = min(adc.limit, float(factor) * config.rows + 1) * 2.0**config.cycles
    precision = np.float32 if most < EXACT else np.float64
    for split in channel_splits(layer.weights, config):
        plus, minus = (_column_words(part[:, :, :, split]) for part in (cells.values > 0, cells.values < 0))
        for first in range(0, len(x), images):
            some = slice(first, first + images)
            fed = np.ascontiguousarray(x[some, split])
            parts = [np.maximum(fed, 0), np.maximum(-fed, 0)] if fed.min() < 0 else [fed]
            rows = np.stack(
                [
                    _row_words(part, config.cycles, kernel, layer.stride, layer.padding, height, width)
                    for part in parts
                ]
            )
            points = total[some].reshape(-1, total.shape[3])
            added = np.empty(plus.shape[2], precision)
            _count(rows, plus, minus, factor, np.float32(adc.limit), _places(config), added, points)
    return torch.from_numpy(total).permute(0, 3, 1, 2)


def _column_words(cells: npt.NDArray[np.bool_]) -> Words:
    """Pack reads x slices x out x in x kernel x kernel cells into blocks x words x lanes."""
    columns = np.moveaxis(cells, 3, 5).reshape(np.prod(cells.shape[:3]), -1)  # rows: window, then channel
    blocks, words = -(-columns.shape[0] // LANES), -(-columns.shape[1] // 32)
    lanes = -(-columns.shape[0] // (16 * blocks)) * 16  # whole vectors
    padded = np.zeros((blocks * lanes, words * 32), np.bool_)
    padded[: columns.shape[0], : columns.shape[1]] = columns
    packed = np.packbits(padded, axis=1, bitorder="little").view("<u4").astype(np.uint32)
    return np.ascontiguousarray(packed.reshape(blocks, lanes, words).transpose(0, 2, 1))


def _compiled(function: Callable[..., Any]) -> Any:
    try:
        return numba.njit(error_model="numpy", nogil=True, cache=True)(function)
    except RuntimeError:  # there is no folder that can be written
        return numba.njit(error_model="numpy", nogil=True)(function)


_part = numba.njit(error_model="numpy", nogil=True)
"""Compiles a function that others of this file call."""


def _count_bits(typing: Any, word: Any) -> Any:
    """Count the bits of a word that are set."""
    return word(word), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


popcount: Any = intrinsic(_count_bits)


@_compiled
def _read(sums, factor, limit, places, total):  # type: ignore[no-untyped-def]
    """Read sums (points x places x out) and add their codes up in `total` (points x out)."""
    for p in range(sums.shape[0]):
        for j in range(sums.shape[1]):
            for o in range(sums.shape[2]):
                code = min(max(np.rint(sums[p, j, o] * factor), -limit), limit)
                total[p, o] += np.float64(code) * places[j]


@_compiled
def _row_words(x, cycles, kernel, stride, padding, height, width):  # type: ignore[no-untyped-def]
    """Pack what each output point's window feeds in each cycle: points x cycles x words.

    Bits are in the order window, then channel, so that a pixel's channels are packed once for all windows.
    """
    images, channels, rows, columns = x.shape
    pixel_words = -(-channels // 32)
    pixels = np.empty((rows, columns, cycles, pixel_words), np.uint32)
    # One word more, into which the last pixel's may overlap.
    words = np.zeros((images * height * width, cycles, -(-channels * kernel * kernel // 32) + 1), np.uint32)
    for n in range(images):
        pixels[:] = 0
        for c in range(channels):
            for y in range(rows):
                for z in range(columns):
                    value = np.uint32(x[n, c, y, z])
                    for b in range(cycles):
                        bit = np.uint32((value >> np.uint32(b)) & np.uint32(1))
                        pixels[y, z, b, c // 32] |= np.uint32(bit << np.uint32(c % 32))
        for point in range(height * width):
            p = n * height * width + point
            top, left = point // width * stride - padding, point % width * stride - padding
            for tap in range(kernel * kernel):
                y, z = top + tap // kernel, left + tap % kernel
                if 0 <= y < rows and 0 <= z < columns:
                    for w in range(pixel_words):
                        start = tap * channels + 32 * w
                        for b in range(cycles):
                            bits = np.uint64(pixels[y, z, b, w]) << np.uint64(start % 32)
                            words[p, b, start // 32] |= np.uint32(bits & np.uint64(0xFFFFFFFF))
                            words[p, b, start // 32 + 1] |= np.uint32(bits >> np.uint64(32))
    return words


@_part
def _add_sums(words, plus, minus, sums):  # type: ignore[no-untyped-def]
    """Add the sums of a block's columns: bits set in both the row's words and the cells'."""
    for w in range(plus.shape[0]):
        word, up, down = words[w], plus[w], minus[w]
        for i in range(len(sums)):
            sums[i] += np.int32(popcount(word & up[i])) - np.int32(popcount(word & down[i]))


@_part
def _add_codes(sums, factor, limit, worth, added):  # type: ignore[no-untyped-def]
    for i in range(len(sums)):
        code = min(max(np.rint(np.float32(sums[i]) * factor), -limit), limit)
        added[i] += code * worth


@_compiled
def _count(rows, plus, minus, factor, limit, places, added, total):  # type: ignore[no-untyped-def]
    """Count, read and add up.

    `rows` is parts x points x cycles x words (positive and negative inputs, or one part of positive ones),
    `plus` and `minus` are blocks x words x lanes, `total` is points x out. A column is a place (read and
    slice) of an output, and columns are in that order. `added` is room for a block's lanes, in a precision
    in which they are exact.
    """
    outputs, width = total.shape[1], plus.shape[2]
    sums = np.empty(width, np.int32)
    for block in range(plus.shape[0]):
        up, down = plus[block], minus[block]
        lanes = min(width, outputs * len(places) - block * width)
        for p in range(rows.shape[1]):
            added[:] = 0
            for cycle in range(rows.shape[2]):
                sums[:] = 0
                _add_sums(rows[0, p, cycle], up, down, sums)
                if rows.shape[0] == 2:
                    _add_sums(rows[1, p, cycle], down, up, sums)
                _add_codes(sums, factor, limit, added.dtype.type(1 << cycle), added)
            done = 0
            while done < lanes:
                column = block * width + done
                place, o = column // outputs, column % outputs
                stretch = min(outputs - o, lanes - done)
                for i in range(stretch):
                    total[p, o + i] += np.float64(added[done + i]) * places[place]
                done += stretch
