"""The integer network that the chip computes: weights and activations as integers with a scale each.

Weights: one scale a layer, max|w| / (2**(bits - 1) - 1). Activations: one scale a map, its range over
calibration images / (2**(bits - 1) - 1), and from then on fixed, so that no image sees its neighbours. The
range is that of the least mean square error; MNSIM 2.0's |mean| + 3 deviations cuts off what networks that
were not trained with it need. Behind a ReLU activations are not negative; the network's input and what an
addition reads may be, and take the sign that bits count.

Between layers a digital unit multiplies, adds the bias, cuts off below 0, rounds half to even and clips.
Maxima are of integers, means are rounded to the scale of what they are taken of, the last layer's scores are
not rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from services.trainer.analog.graph import INPUT, Flatten, Pool, Product, Step, Sum, convolve, run
from services.trainer.analog.slices import Integers, polarities, reads
from services.trainer.analog_types import AnalogConfig

CUTS = tuple(2.0 ** (-k / 4) for k in range(16))
"""Ranges of activations that are tried, as shares of the largest magnitude."""

TRIED = 2**16
"""Values of a map that they are tried on, about."""

EXACT = 2.0**24
"""Integers up to here, and their sums, are exact in float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crossbars:
    """A layer that crossbars compute.

    Its output is ``products * multiplier + bias``, in integers of its own scale once rounded and clipped.

    Parameters
    ----------
    inputs : tuple of int
    weights : ndarray of int16, out x in x kernel x kernel
    stride, padding : int
    weight_scale, output_scale : float
        Values of a weight and of an output of one.
    multiplier : float
        Scales of the input and of the weights over that of the output.
    bias : Tensor of float64, out
    low, high : float
        Smallest and largest output; infinite for scores.
    read_range : float
        Range of what the slices of one read add up to, over the calibration images, in products of integers.
    """

    inputs: tuple[int]
    weights: Integers
    stride: int
    padding: int
    weight_scale: float
    output_scale: float
    multiplier: float
    bias: Tensor
    low: float
    high: float
    read_range: float

    def output(self, products: Tensor) -> Tensor:
        """Scale products (float64) and add the bias; not rounded."""
        return products * self.multiplier + self.bias.view(-1, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """Sum of two maps, each brought to the sum's scale; then as the output of a layer."""

    inputs: tuple[int, int]
    multipliers: tuple[float, float]
    low: float
    high: float


IntegerStep = Crossbars | Addition | Pool | Flatten

Multiply = Callable[[int, Crossbars, Tensor], Tensor]
"""Gives what a layer (its index, itself, its input) puts out before it is rounded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntegerNetwork:
    """A quantised network; `input_scale` is the value of an input of one."""

    steps: tuple[IntegerStep, ...]
    input_scale: float
    config: AnalogConfig

    def quantised_input(self, x: Tensor) -> Tensor:
        """Quantise normalised images to integers, in the precision of `x`."""
        top = self.config.top_activation
        return (x / self.input_scale).round_().clamp_(-top, top)

    def scores(
        self, integers: Tensor, multiply: Multiply, rounded: Callable[[Tensor], Tensor] = torch.round
    ) -> Tensor:
        """Give the scores (N x classes) of quantised images, with layers computed by `multiply`."""
        last = len(self.steps) - 1

        def compute(i: int, step: IntegerStep, inputs: tuple[Tensor, ...]) -> Tensor:
            match step:
                case Crossbars():
                    value = multiply(i, step, inputs[0])
                case Addition():
                    value = inputs[0] * step.multipliers[0] + inputs[1] * step.multipliers[1]
                case Pool():
                    return rounded(step(*inputs)) if step.average else step(*inputs)
                case Flatten():
                    return step(*inputs)
            return value if i == last else rounded(value).clamp_(step.low, step.high)

        return run(self.steps, integers, compute).flatten(1)


def integer_products(i: int, layer: Crossbars, integers: Tensor) -> Tensor:
    """Compute a layer exactly: the integer network without a chip."""
    most = int(np.abs(layer.weights.astype(np.int64)).sum(axis=(1, 2, 3)).max()) * float(integers.abs().max())
    kind = torch.float32 if most < EXACT else torch.float64
    weights = torch.from_numpy(layer.weights).to(kind)
    products = convolve(integers.to(kind), weights, layer.stride, layer.padding)
    return layer.output(products.double())


def quantise(steps: Sequence[Step], images: Tensor, config: AnalogConfig) -> IntegerNetwork:
    """Quantise a network.

    Parameters
    ----------
    steps : sequence of Step
    images : Tensor of float64, N x channels x height x width
        Normalised calibration images; training images, so that nothing of the judged ones is known.
    config : AnalogConfig
    """
    scales = {INPUT: _activation_range(images, config.top_activation) / config.top_activation}
    quantised: list[IntegerStep] = []
    last = len(steps) - 1

    def compute(i: int, step: Step, inputs: tuple[Tensor, ...]) -> Tensor:
        value = step(*inputs)
        sources = [scales[source] for source in step.inputs]
        if isinstance(step, Pool | Flatten):
            scales[i] = sources[0]
            quantised.append(step)
            return value
        scales[i] = (
            1.0 if i == last else _activation_range(value, config.top_activation) / config.top_activation
        )
        high = math.inf if i == last else config.top_activation
        low = 0.0 if step.relu else -high
        if isinstance(step, Sum):
            a, b = sources
            multipliers = (a / scales[i], b / scales[i])
            quantised.append(Addition(inputs=step.inputs, multipliers=multipliers, low=low, high=high))
            return value
        weight_scale = float(step.weight.abs().max()) / config.top_weight or 1.0
        weights = (step.weight / weight_scale).round_().to(torch.int16).numpy()
        quantised.append(
            Crossbars(
                inputs=step.inputs,
                weights=weights,
                stride=step.stride,
                padding=step.padding,
                weight_scale=weight_scale,
                output_scale=scales[i],
                multiplier=sources[0] * weight_scale / scales[i],
                bias=step.bias / scales[i],
                low=low,
                high=high,
                read_range=_read_range(step, weights, inputs[0] / sources[0], config),
            )
        )
        return value

    run(steps, images, compute)
    return IntegerNetwork(steps=tuple(quantised), input_scale=scales[INPUT], config=config)


def _read_range(step: Product, weights: Integers, x: Tensor, config: AnalogConfig) -> float:
    """Give MNSIM 2.0's range of a layer's output, |mean| + 3 deviations, of the read that has most."""
    seen = torch.from_numpy(reads(polarities(weights, config), config)).to(x)
    ranges = []
    for w in seen:
        deviation, mean = torch.std_mean(convolve(x, w, step.stride, step.padding), correction=0)
        ranges.append(_settled(mean.abs() + 3 * deviation))
    return max(ranges)


def _activation_range(values: Tensor, top: int) -> float:
    """Give the range whose integers have the least mean square error."""
    magnitudes = values.abs().flatten()
    tried = magnitudes[:: len(magnitudes) // TRIED | 1]  # odd, so that it keeps to no row or column

    def error(most: float) -> float:
        scale = most / top
        return float(((tried / scale).round_().clamp_(max=top).mul_(scale) - tried).square().mean())

    most = _settled(magnitudes.max())
    ranges: list[float] = [most * cut for cut in CUTS]
    return min(ranges, key=error)


def _settled(value: Tensor) -> float:
    """Round to a float32, so that it depends on no order of summation; a map of zeros has a range, too."""
    rounded: float = value.float().item()
    return rounded or 1.0
