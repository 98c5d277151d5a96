"""Networks of sizes next to every limit, made layer by layer from what the maps before them allow."""

from __future__ import annotations

from hypothesis import strategies as st

from services.common.errors import InvalidNetwork
from services.common.layers import (
    MAX_INPUTS,
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

MOST_POINTS = 200_000
"""Of a network here: the reference, with which the kernel is compared, takes a tenth of a second for them."""

_CHANNELS = st.sampled_from([1, 1, 2, 3, 16, 64, 255, 256, 257, 4096, 65535, 65536, 65537, 2**20])
_SIDES = st.sampled_from([1, 1, 1, 2, 3, 15, 16, 17, 255, 256, 257, 4097, 65535, 65536, 65537])
_WINDOWS = st.sampled_from([1, 1, 2, 3, 3, 5, 16, 17, 255, 256, 257, 65535, 65536, 2**20])
_STRIDES = st.sampled_from([1, 1, 1, 2, 3, 16, 255, 65535, 65536, 65537, 2**20])
_PADDINGS = st.sampled_from([0, 0, 0, 1, 2, 7, 128, 300, 65535, 65536, 2**20])
_BITS = st.builds(
    Bits,
    **dict.fromkeys(
        ("input_bits", "weight_bits", "output_bits"), st.sampled_from([1, 2, 9, 63, 64, 65, 2**20])
    ),
)  # fmt: skip


@st.composite
def extreme_networks(draw: st.DrawFn, max_layers: int = 6) -> LayerList:
    """Networks that are sound, and far from any that someone would build."""
    image = Shape(channels=draw(_CHANNELS), height=draw(_SIDES), width=draw(_SIDES))
    network = None
    for _ in range(draw(st.integers(1, max_layers))):
        layers = network.layers if network else ()
        try:
            made = LayerList(input_shape=image, layers=(*layers, draw(_layers(image, network))))
        except InvalidNetwork:
            continue
        if sum(shape.points for shape in made.shapes) <= MOST_POINTS:
            network = made
    if network is None or all(isinstance(layer, Concat) for layer in network.layers):
        layers = network.layers if network else ()
        network = LayerList(
            input_shape=image, layers=(*layers, Linear(inputs=(len(layers) - 1,), out_features=1))
        )
    return network


@st.composite
def _layers(draw: st.DrawFn, image: Shape, network: LayerList | None) -> Layer:
    """Layers that may fit behind a network."""
    shapes = {-1: image} | dict(enumerate(network.shapes if network else ()))
    source = draw(st.sampled_from(sorted(shapes)))
    shape, bits, out = shapes[source], draw(_BITS), draw(_CHANNELS)
    kernel, stride, padding = draw(_WINDOWS), draw(_STRIDES), draw(_PADDINGS)
    some = st.integers(2, 3) | st.just(MAX_INPUTS)
    match draw(st.integers(0, 6)):
        case 0 | 1:
            groups = draw(st.sampled_from([1, 1, 2, shape.channels]))
            return Conv2d(
                inputs=(source,),
                out_channels=draw(st.sampled_from([out, groups * min(out, 4)])),
                kernel_size=kernel,
                stride=stride,
                padding=padding,
                groups=groups,
                bits=bits,
            )
        case 2:
            padding = min(padding, kernel // 2)
            return Pool2d(inputs=(source,), kernel_size=kernel, stride=stride, padding=padding, bits=bits)
        case 3:
            return Linear(inputs=(source,), out_features=out, bits=bits)
        case 4:
            alike = [i for i, s in shapes.items() if s == shape]
            return Add(inputs=_several(draw, alike, draw(some)), bits=bits)
        case 5:
            point = Shape(channels=shape.channels, height=1, width=1)
            alike = [i for i, s in shapes.items() if s in (shape, point)]
            return Multiply(inputs=(source, *_several(draw, alike, draw(some) - 1)), bits=bits)
        case _:
            alike = [i for i, s in shapes.items() if (s.height, s.width) == (shape.height, shape.width)]
            return Concat(inputs=_several(draw, alike, draw(some)), bits=bits)


def _several(draw: st.DrawFn, choices: list[int], count: int) -> tuple[int, ...]:
    first = [draw(st.sampled_from(choices)) for _ in range(min(count, 4))]
    return tuple((first * count)[:count])
