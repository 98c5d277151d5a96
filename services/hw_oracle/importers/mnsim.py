"""Structure lists of MNSIM 2.0 -> LayerList."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from services.common.errors import MAX_VIOLATIONS, InvalidNetwork, Violation, one_of, violation
from services.common.layers import (
    MAX_LAYERS,
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
    layer_shape,
)

TYPES = ("conv", "fc", "pooling", "element_sum", "element_multiply")
"""Layer types of MNSIM 2.0's hardware models."""

DROPPED = ("relu", "bn", "view", "dropout", "Swish", "Sigmoid")
"""Types that its front end drops, since they cost nothing: whoever reads one reads what it reads."""

READ = (
    "type", "Inputchannel", "Inputsize", "Kernelsize", "Stride", "Padding", "Outputchannel", "Outputsize",
    "Infeature", "Outfeature", "Inputbit", "Weightbit", "outputbit", "Inputindex", "Depthwise",
)  # fmt: skip
"""Keys of a layer."""

IGNORED = (
    "Layerindex", "Outputindex", "features", "row_split_num", "weight_bit_split_part", "weight_cycle",
)  # fmt: skip
"""Keys that its front end writes and its hardware models do not read, or that follow from others."""

MAX_ENTRIES = 16 * MAX_LAYERS
"""Entries of the longest list, as nodes of a graph: a layer and what is dropped around it are a few."""


def from_mnsim(layers: Sequence[Any]) -> LayerList:
    """Read the layer dictionaries of an MNSIM 2.0 network, in order.

    A layer may be its dictionary alone, or MNSIM's nested lists, of which `net[i][0][0]` is the dictionary.
    `Inputindex` is relative, over all entries of the list, and absent it means the entry before. Entries that
    cost nothing are dropped. Of a pooling's mode nothing is said there: maximum is taken. A depthwise
    convolution becomes one of as many groups as channels. Keys in `IGNORED` are passed over.

    Raises
    ------
    InvalidNetwork
        An unknown type or key, a missing or wrong field, sizes that do not follow from the layers, or more
        than `MAX_ENTRIES` entries.
    """
    if not isinstance(layers, (list, tuple)) or not layers:
        raise InvalidNetwork.of(violation("layers", layers, "a list of one dictionary a layer"))
    if len(layers) > MAX_ENTRIES:
        raise InvalidNetwork.of(violation("layers", f"{len(layers)} of them", f"at most {MAX_ENTRIES}"))
    entries = [(f"layers[{i}]", _entry(f"layers[{i}]", entry)) for i, entry in enumerate(layers)]
    for path, entry in entries:
        if entry.get("type") not in (*TYPES, *DROPPED):
            wanted = one_of((*TYPES, *DROPPED), str(entry.get("type")))
            raise InvalidNetwork.of(violation(f"{path}.type", entry.get("type"), wanted))
    unknown = (wrong for path, entry in entries for wrong in _unknown_keys(path, entry))
    if strange := list(islice(unknown, MAX_VIOLATIONS)):
        raise InvalidNetwork.of(*strange)
    first = next((named for named in entries if named[1].get("type") not in DROPPED), entries[0])
    image = _input_shape(*first)
    made: list[Layer] = []
    shapes: list[Shape] = []
    passes: list[int] = []  # the layer whose map each entry passes on
    wrong: list[Violation] = []
    for index, (path, entry) in enumerate(entries):
        sources = tuple(NETWORK_INPUT if i < 0 else passes[i] for i in _inputs(path, index, entry))
        if entry.get("type") in DROPPED:
            if len(sources) != 1:
                raise InvalidNetwork.of(violation(f"{path}.Inputindex", entry["Inputindex"], "one number"))
            passes.append(sources[0])
            continue
        layer = _layer(path, entry, sources)
        inputs = [image if i == NETWORK_INPUT else shapes[i] for i in sources]
        shapes.append(layer_shape(f"{path}.{layer.kind}", len(made), layer, inputs))
        wrong += _size_violations(path, entry, inputs[0], shapes[-1])
        passes.append(len(made))
        made.append(layer)
        if len(made) > MAX_LAYERS or len(wrong) > MAX_VIOLATIONS:
            break
    if wrong:
        raise InvalidNetwork.of(*wrong)
    return LayerList(input_shape=image, layers=tuple(made))


def _entry(path: str, entry: object) -> dict[str, Any]:
    for _ in range(2):
        entry = entry[0] if isinstance(entry, (list, tuple)) and entry else entry
    if not isinstance(entry, dict):
        raise InvalidNetwork.of(violation(path, entry, "a list of one dictionary a layer"))
    return entry


def _unknown_keys(path: str, entry: dict[str, Any]) -> Iterator[Violation]:
    for key in entry:
        if key not in READ + IGNORED:
            yield Violation(f"{path}.{str(key)[:100]}", f"unknown key, wanted {one_of(READ, str(key))}")


def _input_shape(path: str, first: dict[str, Any]) -> Shape:
    if first.get("type") == "fc":
        return Shape(channels=_integer(path, first, "Infeature"), height=1, width=1)
    height, width = _size(path, first, "Inputsize")
    return Shape(channels=_integer(path, first, "Inputchannel"), height=height, width=width)


def _layer(path: str, layer: dict[str, Any], inputs: tuple[int, ...]) -> Layer:
    kind = layer.get("type")
    bits = Bits(
        input_bits=_integer(path, layer, "Inputbit"),
        weight_bits=_integer(path, layer, "Weightbit"),
        output_bits=_integer(path, layer, "outputbit"),
    )
    match kind:
        case "conv":
            depthwise = layer.get("Depthwise", "normal")
            if depthwise not in ("normal", "separable"):
                raise InvalidNetwork.of(violation(f"{path}.Depthwise", depthwise, "one of normal, separable"))
            return Conv2d(
                inputs=inputs,
                out_channels=_integer(path, layer, "Outputchannel"),
                kernel_size=_integer(path, layer, "Kernelsize"),
                stride=_integer(path, layer, "Stride", 1),
                padding=_integer(path, layer, "Padding", 0),
                groups=_integer(path, layer, "Inputchannel") if depthwise == "separable" else 1,
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
    raise InvalidNetwork.of(violation(f"{path}.type", kind, one_of((*TYPES, *DROPPED), str(kind))))


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


def _size_violations(path: str, layer: dict[str, Any], source: Shape, shape: Shape) -> list[Violation]:
    """Compare the sizes that the dictionary states with those that follow from the layers."""
    follows = {
        "Inputchannel": source.channels,
        "Inputsize": [source.height, source.width],
        "Infeature": source.elements,
        "Outputchannel": shape.channels,
        "Outputsize": [shape.height, shape.width],
    }
    return [
        violation(f"{path}.{key}", layer[key], f"{value}, as follows from the layers before")
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
