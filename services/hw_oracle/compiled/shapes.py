"""Shapes of all layers, or that a network is none: the checks of `services.common.layers`, compiled.

Nothing is said of what is wrong: the reference says it. Sizes beyond `MOST` are left to it too, so that no
product here leaves 64 bits.
"""

from __future__ import annotations

from typing import Any

from services.common.layers import MAX_INPUTS
from services.hw_oracle.compiled.jit import part
from services.hw_oracle.compiled.records import (
    ADD,
    CONCAT,
    CONV2D,
    LINEAR,
    MULTIPLY,
    OK,
    POOL2D,
    REFER,
)
from services.hw_oracle.mapping import MAX_POINTS

MOST = 2**16
"""Largest size in a layer record."""
MOST_DERIVED = 2**20
"""Largest channels or side of a map."""
MOST_BITS = 64
MOST_WEIGHTS = 2.0**40
"""Most weights of a layer: far more than a chip has cells."""


@part
def derive_shapes(image: Any, layers: Any, inputs: Any, costs: Any, total: Any) -> int:
    """Fill in shapes and value bits, and `read`: 1 + the last reader, 0 for none; sum what totals say."""
    for size in image:
        if not 1 <= size <= MOST:
            return REFER
    points, place = 0, 0
    total.macs, total.params = 0, 0
    computes = False
    for i in range(len(layers)):
        layer, cost = layers[i], costs[i]
        cost.read = 0
        if not _is_sound(layer) or layer.first_input != place or layer.inputs > len(inputs) - place:
            return REFER
        place += layer.inputs
        for j in range(layer.first_input, place):
            if not -1 <= inputs[j] < i:
                return REFER
            if inputs[j] >= 0:
                costs[inputs[j]].read = i + 1
        channels, height, width = shape_of(image, costs, inputs[layer.first_input])
        weights = 0.0  # exact as far as it is let
        if layer.kind == CONV2D or layer.kind == POOL2D:
            kernel, padded = layer.kernel_size, min(height, width) + 2 * layer.padding
            if kernel > padded:
                return REFER
            if layer.kind == CONV2D:
                if channels % layer.groups or layer.out_channels % layer.groups:
                    return REFER
                weights = float(kernel * kernel) * (channels // layer.groups) * layer.out_channels
                channels = layer.out_channels
            elif 2 * layer.padding > kernel:
                return REFER
            height = (height + 2 * layer.padding - kernel) // layer.stride + 1
            width = (width + 2 * layer.padding - kernel) // layer.stride + 1
        elif layer.kind == LINEAR:
            weights = float(channels * height * width) * layer.out_channels
            channels, height, width = layer.out_channels, 1, 1
        else:
            for j in range(layer.first_input + 1, place):
                c, h, w = shape_of(image, costs, inputs[j])
                if layer.kind == CONCAT:
                    if h != height or w != width:
                        return REFER
                    channels += c
                elif layer.kind == ADD:
                    if c != channels or h != height or w != width:
                        return REFER
                elif c != channels:
                    return REFER
                elif h * w > height * width:
                    height, width = h, w
            if layer.kind == MULTIPLY:
                for j in range(layer.first_input, place):
                    _, h, w = shape_of(image, costs, inputs[j])
                    if (h != height or w != width) and h * w != 1:
                        return REFER
        if weights > MOST_WEIGHTS:
            return REFER
        computes |= layer.kind != CONCAT
        points += height * width
        if max(channels, height, width) > MOST_DERIVED or points > MAX_POINTS:
            return REFER
        cost.channels, cost.height, cost.width = channels, height, width
        cost.value_bits = _value_bits(layers, inputs, costs, i)
        total.macs += height * width * int(weights)
        total.params += int(weights) + channels if weights else 0
    return OK if computes and place == len(inputs) else REFER


@part
def _is_sound(layer: Any) -> bool:
    bits_sound = (
        1 <= layer.input_bits <= MOST_BITS
        and 1 <= layer.weight_bits <= MOST_BITS
        and 1 <= layer.output_bits <= MOST_BITS
    )
    several = layer.kind >= ADD
    if not bits_sound or not (2 if several else 1) <= layer.inputs <= (MAX_INPUTS if several else 1):
        return False
    if layer.kind == LINEAR:
        return 1 <= layer.out_channels <= MOST and layer.groups == 0
    if layer.kind == CONV2D and not (1 <= layer.out_channels <= MOST and 1 <= layer.groups <= MOST):
        return False
    if layer.kind == CONV2D or layer.kind == POOL2D:
        return 1 <= layer.kernel_size <= MOST and 1 <= layer.stride <= MOST and 0 <= layer.padding <= MOST
    return ADD <= layer.kind <= CONCAT


@part
def shape_of(image: Any, costs: Any, index: int) -> tuple[int, int, int]:
    """Channels, height and width of a layer's output, or of the network's input for -1."""
    if index < 0:
        return image[0], image[1], image[2]
    return costs[index].channels, costs[index].height, costs[index].width


@part
def source_bits(layers: Any, costs: Any, index: int, source: int) -> int:
    """Bits of a value that layer `index` reads from `source`."""
    return layers[index].input_bits if source < 0 else costs[source].value_bits


@part
def _value_bits(layers: Any, inputs: Any, costs: Any, index: int) -> int:
    """Bits of a layer's values, as `services.hw_oracle.mapping` has them."""
    layer = layers[index]
    if layer.kind < ADD:
        return layer.output_bits
    first, last = layer.first_input, layer.first_input + layer.inputs
    if layer.kind == CONCAT:
        widest = 0
        for j in range(first, last):
            widest = max(widest, source_bits(layers, costs, index, inputs[j]))
        return widest
    best, source = 3, -1
    for j in range(first, last):  # the first that is neither add nor multiply, then these, then the input
        k = inputs[j]
        rank = 2 if k < 0 else 1 if layers[k].kind == ADD or layers[k].kind == MULTIPLY else 0
        if rank < best:
            best, source = rank, k
    return source_bits(layers, costs, index, source)
