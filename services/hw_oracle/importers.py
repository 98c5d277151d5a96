"""Structure lists of MNSIM 2.0 -> LayerList."""

from __future__ import annotations

from typing import Any

from services.common.errors import InvalidNetwork, Violation, one_of, violation
from services.common.layers import (
    NETWORK_INPUT,
    Add,
    Bits,
    Conv2d,
    Layer,
    LayerList,
    Linear,
    Multiply,
    Pool2d,
    Shape,
)

TYPES = ("conv", "fc", "pooling", "element_sum", "element_multiply")
"""Layer types of MNSIM 2.0's hardware models; its front end drops the others from the list."""


def from_mnsim(layers: list[dict[str, Any]]) -> LayerList:
    """Read the layer dictionaries of an MNSIM 2.0 network, in order.

    MNSIM keeps each dictionary in nested lists (`net[i][0][0]`): pass the dictionaries alone. `Inputindex`
    is relative, and absent it means the previous layer. Of a pooling's mode nothing is said there: maximum
    is taken. A depthwise convolution becomes one of as many groups as channels.

    Raises
    ------
    InvalidNetwork
        An unknown type, a missing or wrong field, or sizes that do not follow from the layers.
    """
    wanted = "a list of one dictionary a layer"
    if not isinstance(layers, list) or not layers:
        raise InvalidNetwork.of(violation("layers", layers, wanted))
    for i, layer in enumerate(layers):
        if not isinstance(layer, dict):
            raise InvalidNetwork.of(violation(f"layers[{i}]", layer, wanted))
    network = LayerList(
        input_shape=_input_shape(layers),
        layers=tuple(_layer(f"layers[{i}]", i, layer) for i, layer in enumerate(layers)),
    )
    wrong = [found for i, layer in enumerate(layers) for found in _size_violations(network, i, layer)]
    if wrong:
        raise InvalidNetwork.of(*wrong)
    return network


def _input_shape(layers: list[dict[str, Any]]) -> Shape:
    first, path = layers[0], "layers[0]"
    if first.get("type") == "fc":
        return Shape(channels=_integer(path, first, "Infeature"), height=1, width=1)
    height, width = _size(path, first, "Inputsize")
    return Shape(channels=_integer(path, first, "Inputchannel"), height=height, width=width)


def _layer(path: str, index: int, layer: dict[str, Any]) -> Layer:
    kind = layer.get("type")
    bits = Bits(
        input_bits=_integer(path, layer, "Inputbit"),
        weight_bits=_integer(path, layer, "Weightbit"),
        output_bits=_integer(path, layer, "outputbit"),
    )
    inputs = _inputs(path, index, layer)
    match kind:
        case "conv":
            depthwise = layer.get("Depthwise") == "separable"
            return Conv2d(
                inputs=inputs,
                out_channels=_integer(path, layer, "Outputchannel"),
                kernel_size=_integer(path, layer, "Kernelsize"),
                stride=_integer(path, layer, "Stride", 1),
                padding=_integer(path, layer, "Padding", 0),
                groups=_integer(path, layer, "Inputchannel") if depthwise else 1,
                bits=bits,
            )
        case "pooling":
            return Pool2d(
                inputs=inputs,
                kernel_size=_integer(path, layer, "Kernelsize"),
                stride=_integer(path, layer, "Stride", 1),
                padding=_integer(path, layer, "Padding", 0),
                bits=bits,
            )
        case "fc":
            return Linear(inputs=inputs, out_features=_integer(path, layer, "Outfeature"), bits=bits)
        case "element_sum":
            return Add(inputs=inputs, bits=bits)
        case "element_multiply":
            return Multiply(inputs=inputs, bits=bits)
    raise InvalidNetwork.of(violation(f"{path}.type", kind, one_of(TYPES, str(kind))))


def _inputs(path: str, index: int, layer: dict[str, Any]) -> tuple[int, ...]:
    relative = layer.get("Inputindex", [-1])
    if not isinstance(relative, list) or any(type(x) is not int or x >= 0 for x in relative):
        wanted = "a list of negative whole numbers, counted from this layer"
        raise InvalidNetwork.of(violation(f"{path}.Inputindex", relative, wanted))
    absolute = tuple(index + x for x in relative)
    if any(i < NETWORK_INPUT for i in absolute):
        wanted = f"numbers from {NETWORK_INPUT - index} (the network's input) to -1"
        raise InvalidNetwork.of(violation(f"{path}.Inputindex", relative, wanted))
    return absolute


def _size_violations(network: LayerList, index: int, layer: dict[str, Any]) -> list[Violation]:
    """Compare the sizes that the dictionary states with those that follow from the layers."""
    source, shape = network.input_shapes(index)[0], network.shapes[index]
    follows = {
        "Inputchannel": source.channels,
        "Inputsize": [source.height, source.width],
        "Infeature": source.elements,
        "Outputchannel": shape.channels,
        "Outputsize": [shape.height, shape.width],
    }
    return [
        violation(f"layers[{index}].{key}", layer[key], f"{value}, as follows from the layers before")
        for key, value in follows.items()
        if key in layer and layer[key] != value
    ]


def _integer(path: str, layer: dict[str, Any], key: str, default: int | None = None) -> int:
    value = layer.get(key, default)
    if type(value) is not int:
        raise InvalidNetwork.of(violation(f"{path}.{key}", value, "a whole number"))
    return value


def _size(path: str, layer: dict[str, Any], key: str) -> tuple[int, int]:
    value = layer.get(key)
    if not isinstance(value, list) or len(value) != 2 or any(type(side) is not int for side in value):
        raise InvalidNetwork.of(
            violation(f"{path}.{key}", value, "a list of two whole numbers: rows, columns")
        )
    return value[0], value[1]
