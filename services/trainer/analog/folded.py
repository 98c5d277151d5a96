"""The chip in one convolution a layer: cells folded into weights, the ADC into gains and noise.

What an ADC reads of a column is nearly a gain times its sum: below 1 where sums are small beside a step and
round to 0, or large and clipped. The gain of each column (split, read, slice, output) is fitted by least
squares to the exact form on a few images, the sums of a cycle weighted by what they are worth. Columns of
one output are then added up, each with its gain and place, to effective weights: exactly those of the cells
where nothing is lost in the ADC. What is left of the exact form is described, output by output, by its
mean, which goes to the bias, and its deviation, which is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from services.trainer.analog.cells import Cells, chip_generator, write_cells
from services.trainer.analog.exact import exact_products, offset_products
from services.trainer.analog.graph import convolve
from services.trainer.analog.quantise import Crossbars, IntegerNetwork
from services.trainer.analog.slices import channel_splits, read_signs
from services.trainer.analog_types import AnalogConfig

NOISES = 4096
"""Different noises of a layer; which one an image meets follows from its pixels, not from its neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdcFit:
    """What the ADC of one layer does on average.

    Parameters
    ----------
    gains : Tensor of float64, splits x reads x slices x out
    mean, deviation : Tensor of float64, out
        Of what the exact form has more than the folded one, in products of integers.
    """

    gains: Tensor
    mean: Tensor
    deviation: Tensor


def fit_adcs(network: IntegerNetwork, integers: Tensor, seed: int) -> dict[int, AdcFit]:
    """Fit the ADC of every layer to the exact form on the first chip.

    Parameters
    ----------
    network : IntegerNetwork
    integers : Tensor
        Quantised images; not those that are judged.
    seed : int
        Of the chips.
    """
    fits: dict[int, AdcFit] = {}

    def multiply(i: int, layer: Crossbars, x: Tensor) -> Tensor:
        cells = write_cells(layer.weights, network.config, chip_generator(seed, 0, i))
        products, gains = _fitted_gains(x, layer, cells, network.config)
        left = products - convolve(
            x, effective_weights(cells, gains, network.config), layer.stride, layer.padding
        )
        deviation, mean = torch.std_mean(left, dim=(0, 2, 3), correction=0)
        fits[i] = AdcFit(gains=gains, mean=mean, deviation=deviation)
        return layer.output(products)

    network.scores(integers, multiply)
    return fits


def _fitted_gains(x: Tensor, layer: Crossbars, cells: Cells, config: AnalogConfig) -> tuple[Tensor, Tensor]:
    """Give the exact products, and the gains of the columns that they came from."""
    shape = (len(channel_splits(layer.weights, config)), *cells.values.shape[:3])
    both, squares = torch.zeros(2, *shape, dtype=torch.float64)

    def observe(split: int, cycle: int, read: int, j: int, sums: Tensor, codes: Tensor) -> None:
        worth = 4.0 ** (cycle * config.dac_bits)
        both[split, read, j] += worth * (codes * sums).double().sum((0, 2, 3))
        squares[split, read, j] += worth * (sums * sums).double().sum((0, 2, 3))

    products = exact_products(x, layer, cells, config, observe)
    return products, torch.where(squares > 0, both / squares, 1.0)


def effective_weights(cells: Cells, gains: Tensor | None, config: AnalogConfig) -> Tensor:
    """Add up the cells of each weight, at their places and with their columns' gains.

    Parameters
    ----------
    cells : Cells
    gains : Tensor of float64, splits x reads x slices x out, or None
        None of an ideal ADC.
    config : AnalogConfig

    Returns
    -------
    Tensor of float64, of the shape of the layer's weights
        In the layer's integers: what they are where cells and ADC are ideal.
    """
    weights = torch.zeros(cells.values.shape[2:], dtype=torch.float64)
    for n, split in enumerate(channel_splits(cells.values[0, 0], config)):
        for read, sign in enumerate(read_signs(config)):
            for j in range(config.slices):
                place = sign * 2.0 ** (j * config.cell_bits - cells.grid_bits)
                column = place if gains is None else (place * gains[n, read, j]).view(-1, 1, 1, 1)
                weights[:, split] += torch.from_numpy(cells.values[read, j][:, split]) * column
    return weights - offset_products(cells, config)


class FoldedChip:
    """One chip, folded.

    Parameters
    ----------
    network : IntegerNetwork
    fits : dict of AdcFit
        By layer.
    seed, draw : int
        Of the chip.
    """

    def __init__(self, network: IntegerNetwork, fits: dict[int, AdcFit], seed: int, draw: int) -> None:
        self._network = network
        self._layers = {
            i: _FoldedLayer(layer, fits[i], network.config, chip_generator(seed, draw, i))
            for i, layer in enumerate(network.steps)
            if isinstance(layer, Crossbars)
        }

    def scores(self, integers: Tensor) -> Tensor:
        """Give the scores, N x classes, of quantised images in float32."""
        digest = integers.flatten(1).to(torch.int64)
        noise = (digest * torch.arange(1, digest.shape[1] + 1)).sum(1) % NOISES
        x = integers.float().contiguous(memory_format=torch.channels_last)
        return self._network.scores(x, lambda i, layer, value: self._layers[i](value, noise))


class _FoldedLayer:
    """One layer of one chip; its outputs are in the layer's output integers, not rounded."""

    def __init__(self, layer: Crossbars, fit: AdcFit, config: AnalogConfig, rng: np.random.Generator) -> None:
        cells = write_cells(layer.weights, config, rng)
        weights = effective_weights(cells, fit.gains, config) * layer.multiplier
        self._weights = weights.float().contiguous(memory_format=torch.channels_last)
        self._bias = (layer.bias + fit.mean * layer.multiplier).float()
        self._deviation = (fit.deviation * layer.multiplier).float()
        self._stride, self._padding = layer.stride, layer.padding
        self._noise = torch.zeros(0)
        self._rng = rng

    def __call__(self, x: Tensor, noise: Tensor) -> Tensor:
        y = convolve(x, self._weights, self._stride, self._padding, self._bias)
        if not self._deviation.any():
            return y
        _, channels, height, width = y.shape
        points = height * width * channels
        if not len(self._noise):
            self._noise = torch.from_numpy(self._rng.standard_normal(points + NOISES, dtype=np.float32))
        met = self._noise.unfold(0, points, 1)[noise].view(-1, height, width, channels)
        return y.addcmul_(met.permute(0, 3, 1, 2), self._deviation.view(-1, 1, 1))
