from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from services.common.candidate import Candidate, Projection, parse_candidate
from services.common.errors import InvalidRequest
from services.common.layers import Shape
from services.trainer.analog.graph import Product, read_steps, run
from services.trainer.analog.quantise import integer_products, quantise
from services.trainer.analog_types import AnalogConfig
from services.trainer.build import build_module
from tests.trainer.analog.networks import NETWORKS, random_images, scrambled


def module_of(blocks: str, projection: Projection = Projection.WHEN_CHANNELS_DIFFER) -> nn.Module:
    candidate = parse_candidate(blocks)
    candidate = Candidate(blocks=candidate.blocks, projection=projection, head=candidate.head)
    return scrambled(build_module(candidate, Shape(channels=2, height=9, width=9), 5))


MODULES = {name: scrambled(make()) for name, make in NETWORKS.items()} | {
    "VGG": module_of("VGG4-MVGG6-VGG8"),
    "RES": module_of("RES4-RES4-VGG4", Projection.ALWAYS),
}


@pytest.mark.parametrize("name", MODULES)
def test_the_steps_compute_what_the_module_computes(name: str) -> None:
    x, module = random_images(), MODULES[name]
    with torch.no_grad():
        got = run(read_steps(module), x, lambda _, step, inputs: step(*inputs)).flatten(1)
        torch.testing.assert_close(got, module.double()(x))


@pytest.mark.parametrize("name", MODULES)
def test_integers_of_12_bits_are_near_the_module(name: str) -> None:
    x, module = random_images(40), MODULES[name]
    config = AnalogConfig(weight_bits=12, activation_bits=12)
    with torch.no_grad():
        network = quantise(read_steps(module), x, config)
        got = network.scores(network.quantised_input(x), integer_products)
        wanted = module.double()(x)
    assert float((got - wanted).norm() / wanted.norm()) < 0.01


def test_reading_leaves_a_module_in_training() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1)).train()
    read_steps(module)
    assert all(part.training for part in module.modules())


def test_a_product_names_the_parts_that_it_was_read_from() -> None:
    steps = read_steps(MODULES["plain"])
    assert [s.parts for s in steps if isinstance(s, Product)] == [("0",), ("3", "4"), ("8",), ("10",)]


class TwoReaders(nn.Module):
    """A convolution whose output is read before its ReLU, too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(2, 2, 1), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.relu(y) + y


class WithParameter(nn.Module):
    """Adds a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.shift = nn.Conv2d(2, 2, 1), nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) + self.shift
        return y


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (nn.Sigmoid(), "module._1"),
        (nn.Conv2d(2, 2, 3, groups=2), "module._1"),
        (nn.Conv2d(2, 2, 3, dilation=2), "module._1"),
        (nn.Conv2d(2, 2, (3, 1)), "module._1"),
        (nn.BatchNorm2d(2, affine=False), "module._1"),
        (nn.MaxPool2d(2, ceil_mode=True), "module._1"),
        (nn.AvgPool2d(2, padding=1), "module._1"),
    ],
)
def test_a_part_that_no_chip_computes_is_refused_by_name(part: nn.Module, name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_steps(nn.Sequential(nn.Conv2d(2, 2, 1), part))
    assert refused.value.violations[0].field == name


def test_what_is_read_before_its_relu_is_not_folded() -> None:
    with pytest.raises(InvalidRequest, match=r"module\.relu"):
        read_steps(TwoReaders())


def test_a_parameter_outside_a_layer_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match=r"module\.shift"):
        read_steps(WithParameter())
