"""Candidates of a search space -> networks: `services.common.candidate.candidate_layers`, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from services.common.candidate import MIN_POOLED_SIDE, BlockType, Projection
from services.common.layers import Bits, Shape
from services.common.space import SearchSpace
from services.hw_oracle.compiled.jit import entry, part
from services.hw_oracle.compiled.pack import Integers, Packed
from services.hw_oracle.compiled.records import ADD, CONV2D, LAYER, LINEAR, POOL2D

BLOCK_TYPES = tuple(BlockType)
VGG, RES = BLOCK_TYPES.index(BlockType.VGG), BLOCK_TYPES.index(BlockType.RES)

MOST_LAYERS, MOST_INPUTS = 4, 5
"""Of a block: two convolutions, a projection, and an add of two inputs."""


def expand(
    space: SearchSpace, image: Shape, classes: int, depths: Integers, choices: Integers, bits: Bits = Bits()
) -> Packed:
    """Make the networks of candidates.

    Parameters
    ----------
    space : SearchSpace
    image : Shape
        Square, at least 2 wide.
    classes : int
    depths : (n,) int64
        Blocks of each candidate.
    choices : (sum of depths,) int64
        Of each block its place in ``space.choices``; candidate after candidate.
    bits : Bits
    """
    blocks = np.array([(BLOCK_TYPES.index(b.type), b.kernels) for b in space.choices], np.int64)
    features = np.array([*space.head.hidden_features, classes], np.int64)
    sizes = np.array([bits.input_bits, bits.weight_bits, bits.output_bits], np.int64)
    count, total = len(depths), int(depths.sum())
    layers = np.zeros(MOST_LAYERS * total + count * (1 + len(features)), LAYER)
    inputs = np.zeros(MOST_INPUTS * total + count * (1 + len(features)), np.int64)
    starts, input_starts = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    always = space.projection is Projection.ALWAYS
    shape = np.array([image.channels, image.height, image.width], np.int64)
    _expand_all(blocks, features, sizes, always, shape, depths, choices, layers, inputs, starts, input_starts)
    return Packed(
        np.broadcast_to(shape, (count, 3)).copy(),
        starts,
        layers[: starts[-1]],
        input_starts,
        inputs[: input_starts[-1]],
    )


@part
def _add_layer(
    layers: Any, inputs: Any, place: Any, kind: int, source: int, other: int, out: int, kernel: int,
    stride: int, padding: int, bits: Any,
) -> int:  # fmt: skip
    """Add a layer that reads `source`, and `other` unless that is -2; its index in the network."""
    layer = layers[place[0]]
    layer.kind, layer.first_input, layer.inputs = kind, place[1] - place[3], 1
    inputs[place[1]] = source
    if other > -2:
        layer.inputs = 2
        inputs[place[1] + 1] = other
    layer.out_channels, layer.kernel_size, layer.stride, layer.padding = out, kernel, stride, padding
    layer.groups = 1 if kind == CONV2D else 0
    layer.input_bits, layer.weight_bits, layer.output_bits = bits[0], bits[1], bits[2]
    place[0] += 1
    place[1] += layer.inputs
    return int(place[0] - place[2] - 1)


@part
def _expand_one(
    blocks: Any, features: Any, bits: Any, always: bool, image: Any, choices: Any, layers: Any, inputs: Any,
    place: Any,
) -> None:  # fmt: skip
    source, channels, side = -1, image[0], image[2]
    for choice in choices:
        kind, kernels = blocks[choice, 0], blocks[choice, 1]
        first = source
        middle = _add_layer(layers, inputs, place, CONV2D, first, -2, kernels, 3, 1, 1, bits)
        source = _add_layer(layers, inputs, place, CONV2D, middle, -2, kernels, 3, 1, 1, bits)
        if kind == RES:
            if always or channels != kernels:
                skip = _add_layer(layers, inputs, place, CONV2D, first, -2, kernels, 1, 1, 0, bits)
                source = _add_layer(layers, inputs, place, ADD, skip, source, 0, 0, 0, 0, bits)
            else:
                source = _add_layer(layers, inputs, place, ADD, source, first, 0, 0, 0, 0, bits)
        elif kind == VGG and side >= MIN_POOLED_SIDE:
            source = _add_layer(layers, inputs, place, POOL2D, source, -2, 0, 2, 2, 0, bits)
            side //= 2
        channels = kernels
    if side > 2:
        source = _add_layer(layers, inputs, place, POOL2D, source, -2, 0, -(-side // 2), side // 2, 0, bits)
    for out in features:
        source = _add_layer(layers, inputs, place, LINEAR, source, -2, out, 0, 0, 0, bits)


def _make_expand_all(sources: str) -> Callable[..., None]:
    def expand_all(
        blocks: Any, features: Any, bits: Any, always: bool, image: Any, depths: Any, choices: Any,
        layers: Any, inputs: Any, starts: Any, input_starts: Any,
    ) -> None:  # fmt: skip
        sources  # noqa: B018  # what the machine code was made of
        place = np.zeros(4, np.int64)  # next layer, next input, and where this network's begin
        chosen = 0
        for n in range(len(depths)):
            own = choices[chosen : chosen + depths[n]]
            _expand_one(blocks, features, bits, always, image, own, layers, inputs, place)
            chosen += depths[n]
            place[2], place[3] = place[0], place[1]
            starts[n + 1], input_starts[n + 1] = place[0], place[1]

    return expand_all


_expand_all = entry(_make_expand_all)
