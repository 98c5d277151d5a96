"""Random networks of every kind of layer, with branches, for property tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from services.common.layers import (
    Add,
    Bits,
    Concat,
    Conv2d,
    Layer,
    LayerList,
    Linear,
    Multiply,
    Pool2d,
    Shape,
)
from services.hw_oracle.mapping import Mapping
from services.hw_oracle.placement import ways
from services.hw_oracle.types import ChipConfig

_bits = st.builds(
    Bits, input_bits=st.integers(1, 12), weight_bits=st.integers(2, 12), output_bits=st.integers(1, 12)
)


@st.composite
def networks(draw: Callable[..., Any], max_layers: int = 8) -> LayerList:
    """Networks whose layers read any of the maps before them, the network's input among these."""

    def pick(choices: Sequence[Any]) -> Any:
        return draw(st.sampled_from(choices))

    shapes = {-1: Shape(channels=pick([1, 4, 6]), height=pick([1, 5, 8]), width=pick([1, 6, 7]))}
    layers: list[Layer] = []
    while len(layers) < pick(range(1, max_layers + 1)):
        source = pick(sorted(shapes))
        shape, bits, kind = shapes[source], draw(_bits), pick(range(7))
        sides = [i for i, s in shapes.items() if (s.height, s.width) == (shape.height, shape.width)]
        if kind <= 1:
            kernel, padding = pick([1, 2, 3]), pick([0, 1, 2])
            if kernel > min(shape.height, shape.width) + 2 * padding:
                continue
            groups = pick([g for g in (1, 2, shape.channels) if shape.channels % g == 0])
            out = groups * pick([1, 3, 40] if groups <= 6 else [1])
            layer: Layer = Conv2d(
                inputs=(source,),
                out_channels=out,
                kernel_size=kernel,
                stride=pick([1, 2, 3]),
                padding=padding,
                groups=groups,
                bits=bits,
            )
        elif kind == 2:
            kernel = pick([1, 2, 3])
            if kernel > min(shape.height, shape.width):
                continue
            layer = Pool2d(
                inputs=(source,),
                kernel_size=kernel,
                stride=pick([1, 2]),
                padding=pick([0, kernel // 2]),
                bits=bits,
            )
        elif kind == 3:
            layer = Linear(inputs=(source,), out_features=pick([1, 6, 40, 300]), bits=bits)
        elif kind == 4:
            alike = [i for i, s in shapes.items() if s == shape]
            layer = Add(inputs=(source, pick(alike), pick(alike)), bits=bits)
        elif kind == 5:
            point = Shape(channels=shape.channels, height=1, width=1)
            layer = Multiply(
                inputs=(pick([i for i, s in shapes.items() if s in (shape, point)]), source), bits=bits
            )
        else:
            layer = Concat(inputs=(source, pick(sides)), bits=bits)
        layers.append(layer)
        made = LayerList(input_shape=shapes[-1], layers=tuple(layers))
        shapes[len(layers) - 1] = made.shapes[-1]
    if all(isinstance(layer, Concat) for layer in layers):
        layers.append(Linear(inputs=(len(layers) - 1,), out_features=2))
    return LayerList(input_shape=shapes[-1], layers=tuple(layers))


def distances_hops(network: LayerList, mapping: Mapping, chip: ChipConfig) -> list[tuple[float, float]]:
    """Merge and transfer distance of each layer, both in hops."""
    return [(way.merge_hops, way.transfer_hops) for way in ways(network, mapping, chip)]
