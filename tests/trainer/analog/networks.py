"""Small networks with random weights, quantised on random images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from services.trainer.analog.cells import Cells, chip_generator, write_cells
from services.trainer.analog.exact import exact_products
from services.trainer.analog.graph import read_steps
from services.trainer.analog.kernel_exact import fast_products
from services.trainer.analog.quantise import Crossbars, IntegerNetwork, quantise
from services.trainer.analog_types import AdcMode, AnalogConfig
from services.trainer.build import Residual

FORMS = {"exact": exact_products, "fast": fast_products}
IDEAL: dict[str, Any] = {
    "on_off_ratio": math.inf, "variation_frac": 0.0, "stuck_off_frac": 0.0, "stuck_on_frac": 0.0,
    "adc_mode": AdcMode.IDEAL,
}  # fmt: skip
"""Of a chip that computes what was written."""


def plain(channels: int = 2, classes: int = 3) -> nn.Module:
    """Convolutions with a bias, a stride and no padding on an odd map, both pools, and two linear layers."""
    return nn.Sequential(
        nn.Conv2d(channels, 5, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 6, 3, stride=2, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(6, 7),
        nn.ReLU(),
        nn.Linear(7, classes),
    )


def residual(channels: int = 2, classes: int = 3) -> nn.Module:
    """One block with a projection and one without, whose sum is read by a convolution."""
    from services.common.candidate import Projection

    return nn.Sequential(
        Residual(channels, 4, Projection.ALWAYS),
        Residual(4, 4, Projection.WHEN_CHANNELS_DIFFER),
        nn.Flatten(),
        nn.Linear(4 * 81, classes),
    )


NETWORKS = {"plain": plain, "residual": residual}


def scrambled(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give every part random values, statistics of normalisations, too."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                for values in (part.weight, part.running_var):
                    values.uniform_(0.5, 1.5, generator=g)
                for values in (part.bias, part.running_mean):
                    values.normal_(0, 0.2, generator=g)
            elif isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(part.weight, generator=g)
                if part.bias is not None:
                    part.bias.normal_(0, 0.2, generator=g)
    return module.eval()


def random_images(count: int = 6, channels: int = 2, side: int = 9, seed: int = 1) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, side, side, generator=g, dtype=torch.float64)


@torch.no_grad()
def quantised(name: str, config: AnalogConfig, seed: int = 0) -> tuple[IntegerNetwork, Tensor]:
    """Give a network and images in integers."""
    images = random_images()
    network = quantise(read_steps(scrambled(NETWORKS[name](), seed)), images, config)
    return network, network.quantised_input(images)


@torch.no_grad()
def chip_scores(network: IntegerNetwork, integers: Tensor, form: str, seed: int = 0, draw: int = 0) -> Tensor:
    """Give the scores on one chip by one of the exact forms."""

    def multiply(i: int, layer: Crossbars, x: Tensor) -> Tensor:
        cells = write_cells(layer.weights, network.config, chip_generator(seed, draw, i))
        return layer.output(FORMS[form](x, layer, cells, network.config))

    return network.scores(integers, multiply)


def layer_of(
    weights: np.ndarray[Any, Any], read_range: float = 1000.0, stride: int = 1, padding: int = 0
) -> Crossbars:
    """Give a layer of integer weights whose output is its products."""
    return Crossbars(
        inputs=(-1,), weights=weights.astype(np.int16), stride=stride, padding=padding, weight_scale=1.0,
        output_scale=1.0, multiplier=1.0, bias=torch.zeros(len(weights), dtype=torch.float64),
        low=-math.inf, high=math.inf, read_range=read_range,
    )  # fmt: skip


def perfect_cells(layer: Crossbars, config: AnalogConfig) -> Cells:
    """Give cells that neither vary nor stick."""
    return write_cells(layer.weights, config, None)
