"""What a layer's crossbars put out, column by column: the reference, a loop that can be read.

Every split, cycle and slice is a convolution of its own, as MNSIM 2.0 computes it. `kernel_exact` gives the
same bits in less time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch import Tensor

from services.trainer.analog.adc import Adc, make_adc
from services.trainer.analog.cells import Cells
from services.trainer.analog.graph import convolve
from services.trainer.analog.quantise import EXACT, Crossbars
from services.trainer.analog.slices import channel_splits, offset, read_signs
from services.trainer.analog_types import AnalogConfig


def layer_adc(layer: Crossbars, cells: Cells, config: AnalogConfig) -> Adc:
    """Make the ADC that reads the cells of a layer."""
    splits = len(channel_splits(layer.weights, config))
    return make_adc(config, cells.grid_bits, splits, layer.read_range)


def sums_precision(cells: Cells, config: AnalogConfig) -> torch.dtype:
    """Give the least precision in which every column's sum is exact; the ADC's arithmetic is in it, too."""
    most = max(
        int(np.abs(cells.values[:, :, :, split]).sum(axis=(3, 4, 5), dtype=np.int64).max())
        for split in channel_splits(cells.values[0, 0], config)
    )
    return torch.float32 if most * (2**config.dac_bits - 1) < EXACT else torch.float64


def digits(integers: Tensor, cycle: int, config: AnalogConfig) -> Tensor:
    """Give what the DACs feed in a cycle, lowest bits first; a negative input is a negative voltage."""
    magnitude = (integers.abs().to(torch.int32) >> (cycle * config.dac_bits)) & ((1 << config.dac_bits) - 1)
    return magnitude.mul_(integers.sign().to(torch.int32))


Observe = Callable[[int, int, int, int, Tensor, Tensor], None]
"""Told of each column read: split, cycle, read, slice, sums in units of a code before rounding, and codes."""


def exact_products(
    integers: Tensor, layer: Crossbars, cells: Cells, config: AnalogConfig, observe: Observe | None = None
) -> Tensor:
    """Compute a layer as its crossbars, ADCs and digital adders do.

    Parameters
    ----------
    integers : Tensor, N x in x height x width
    layer : Crossbars
    cells : Cells
        Of that layer.
    config : AnalogConfig
    observe : callable, optional

    Returns
    -------
    Tensor of float64, N x out x height x width
        Products of integers, as `integer_products` has them where everything is ideal.
    """
    adc, precision = layer_adc(layer, cells, config), sums_precision(cells, config)
    values = torch.from_numpy(cells.values).to(precision)
    total = torch.zeros((), dtype=torch.float64)
    signs = read_signs(config)
    for n, split in enumerate(channel_splits(layer.weights, config)):
        for cycle, read, j in product(range(config.cycles), range(len(signs)), range(config.slices)):
            fed = digits(integers[:, split], cycle, config).to(precision)
            sums = convolve(fed, values[read, j][:, split], layer.stride, layer.padding)
            sums *= torch.tensor(adc.codes_per_sum, dtype=precision)
            codes = adc.codes(sums)
            if observe:
                observe(n, cycle, read, j, sums, codes)
            place = signs[read] * 2.0 ** (cycle * config.dac_bits + j * config.cell_bits)
            total = total + codes.double() * place
    return corrected(total * adc.step, integers, layer, cells, config)


def corrected(
    products: Tensor, integers: Tensor, layer: Crossbars, cells: Cells, config: AnalogConfig
) -> Tensor:
    """Take off what weights held with an offset add."""
    if config.differential:
        return products
    kernel = torch.ones(1, *layer.weights.shape[1:], dtype=torch.float64)
    inputs = convolve(integers.double(), kernel, layer.stride, layer.padding)
    return products - offset_products(cells, config) * inputs


def offset_products(cells: Cells, config: AnalogConfig) -> float:
    """Give what a unit of input adds to products of weights held with an offset: it, and the known leak."""
    places = sum(2.0 ** (j * config.cell_bits) for j in range(config.slices))
    return 0.0 if config.differential else offset(config) + cells.leak * places
