"""The module built from a candidate is the network that the cost model sees."""

from __future__ import annotations

import operator
from random import Random

import pytest
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from services.common.candidate import Head, Projection, candidate_layers, parse_candidate
from services.common.layers import (
    NETWORK_INPUT,
    Add,
    Conv2d,
    Layer,
    LayerList,
    Linear,
    Pool2d,
    PoolMode,
    Shape,
    params,
)
from services.common.space import load_space
from services.trainer.build import Dropout, build_module

FREE = (nn.BatchNorm2d, nn.ReLU, nn.Flatten)
"""Modules that cost nothing on a chip, so they are no layers. Dropout disappears in evaluation."""


def traced_network(module: nn.Module, input_shape: Shape) -> tuple[LayerList, list[Shape]]:
    """Read the LayerList off the computation itself, with the shapes that torch computes."""
    graph = fx.symbolic_trace(module.eval())
    ShapeProp(graph).propagate(
        torch.empty(1, input_shape.channels, input_shape.height, input_shape.width, device="meta")
    )
    layers: list[Layer] = []
    shapes: list[Shape] = []
    index: dict[fx.Node, int] = {}
    for node in graph.graph.nodes:
        sources = tuple(index[n] for n in node.all_input_nodes)
        if node.op == "placeholder":
            index[node] = NETWORK_INPUT
            continue
        if node.op == "output":
            break
        part = graph.get_submodule(node.target) if node.op == "call_module" else None
        if isinstance(part, FREE):
            (index[node],) = sources
            continue
        layers.append(layer_of(node, part, sources))
        size = tuple(node.meta["tensor_meta"].shape)[1:]
        shapes.append(Shape(channels=size[0], height=(*size, 1)[1], width=(*size, 1, 1)[2]))
        index[node] = len(layers) - 1
    return LayerList(input_shape=input_shape, layers=tuple(layers)), shapes


def layer_of(node: fx.Node, part: nn.Module | None, inputs: tuple[int, ...]) -> Layer:
    if node.op == "call_function" and node.target is operator.add:
        return Add(inputs=inputs)
    match part:
        case nn.Conv2d():
            assert part.bias is None
            return Conv2d(inputs=inputs, out_channels=part.out_channels, kernel_size=square(part.kernel_size),
                          stride=square(part.stride), padding=square(part.padding),
                          groups=part.groups)  # fmt: skip
        case nn.Linear():
            assert part.bias is not None
            return Linear(inputs=inputs, out_features=part.out_features)
        case nn.MaxPool2d() | nn.AvgPool2d():
            mode = PoolMode.MAX if isinstance(part, nn.MaxPool2d) else PoolMode.AVERAGE
            return Pool2d(inputs=inputs, kernel_size=square(part.kernel_size), stride=square(part.stride),
                          padding=square(part.padding), mode=mode)  # fmt: skip
    raise AssertionError(f"no layer is known for {node.format_node()}")


def square(value: int | str | tuple[int, ...]) -> int:
    (side,) = set(value) if isinstance(value, tuple) else {value}
    assert isinstance(side, int)  # padding may also be a word
    return side


@pytest.mark.parametrize("space_name", ["paper", "small"])
@pytest.mark.parametrize("projection", list(Projection))
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (1, 28), (3, 32), (1, 2), (2, 3), (1, 15)])
def test_traced_module_is_the_layer_list(
    space_name: str, projection: Projection, channels: int, side: int
) -> None:
    space = load_space(space_name)
    rng = Random(f"{space_name} {projection} {side}")
    input_shape = Shape(channels=channels, height=side, width=side)
    for number in range(12):
        depth = space.depths[number % len(space.depths)]
        blocks = tuple(rng.choice(space.choices) for _ in range(depth))
        head = rng.choice([Head(), Head(hidden_features=()), Head(hidden_features=(7,), dropout_frac=0.0)])
        candidate = parse_candidate("-".join(map(str, blocks)), head, projection)
        wanted = candidate_layers(candidate, input_shape, classes=10)

        with torch.device("meta"):
            module = build_module(candidate, input_shape, classes=10)
        traced, shapes = traced_network(module, input_shape)

        assert traced == wanted, str(candidate)
        assert tuple(shapes) == wanted.shapes, str(candidate)
        # The chip's parameters have normalisation folded: one bias a kernel instead of scale and shift.
        scales = sum(m.num_features for m in module.modules() if isinstance(m, nn.BatchNorm2d))
        assert sum(p.numel() for p in module.parameters()) == params(wanted) + scales


def test_normalisation_and_relu_stand_where_the_block_says() -> None:
    module = build_module(parse_candidate("VGG8-RES4"), Shape(channels=1, height=8, width=8), 10)
    names = [type(m).__name__ for m in module.modules() if not list(m.children())]
    assert names == [
        *["Conv2d", "BatchNorm2d", "ReLU"] * 2, "MaxPool2d",
        *["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d"], *["Conv2d", "BatchNorm2d"], "ReLU",
        "AvgPool2d", "Flatten", *["Linear", "ReLU", "Dropout"] * 2, "Linear",
    ]  # fmt: skip


@pytest.mark.parametrize("side", [2, 3, 4, 5, 7, 8, 15, 16, 32])
def test_head_pool_equals_torchs_adaptive_pool(side: int) -> None:
    module = build_module(parse_candidate("MVGG4"), Shape(channels=1, height=side, width=side), 10)
    pools = [m for m in module.modules() if isinstance(m, nn.AvgPool2d)]
    x = torch.rand(1, 4, side, side, generator=torch.Generator().manual_seed(side))
    for pool in pools:
        torch.testing.assert_close(pool(x), nn.AdaptiveAvgPool2d(2)(x))
    assert len(pools) == (side > 2)


def test_dropout_drops_its_share_keeps_the_mean_and_leaves_the_global_generator_alone() -> None:
    dropout = Dropout(0.2)
    dropout.generator = torch.Generator().manual_seed(1)
    before = torch.get_rng_state()
    y = dropout(torch.ones(100_000))
    assert torch.equal(torch.get_rng_state(), before)
    assert set(y.tolist()) == {0.0, 1.25}
    assert float(y.mean()) == pytest.approx(1.0, abs=0.008)  # 5 standard errors: 5 x 0.5 / sqrt(100000)
    assert torch.equal(dropout.eval()(torch.ones(10)), torch.ones(10))
