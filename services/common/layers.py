"""The network a chip runs: layer kinds and LayerList, the one intermediate representation.

Only what costs time or energy on the chip is a layer. Batch normalisation folds into its
convolution, activations, dropout and reshapes cost nothing, so none of them appears here.
``inputs`` are absolute indices of earlier layers; -1 is the network's input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import ClassVar

from services.common.errors import MAX_VIOLATIONS, InvalidNetwork, Violation, violation
from services.common.limited import at_most

NETWORK_INPUT = -1
"""Index by which a layer reads the network's input."""

MAX_LAYERS = 4096
"""More layers than any chip has tiles; a longer list is refused before any work is done."""

MAX_INPUTS = 64
"""Most inputs of one layer."""

MAX_SIZE = 2**20
"""Largest value of any size field: channels, features, sides, kernels, strides, padding, bits."""

MAX_DERIVED = 2**31
"""Largest channels or side that layers may add up to; a chip's limits are far below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Shape of one feature map, without the batch; a flat vector has height = width = 1."""

    channels: int
    height: int
    width: int

    @property
    def elements(self) -> int:
        """Number of values: channels x height x width."""
        return self.channels * self.height * self.width

    @property
    def points(self) -> int:
        """Number of positions: height x width."""
        return self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """Bit widths of a layer's inputs, weights and outputs (MNSIM 2.0's default: 9 each)."""

    input_bits: int = 9
    weight_bits: int = 9
    output_bits: int = 9


class PoolMode(StrEnum):
    """How a pool2d reduces its window. It costs the same on the chip."""

    MAX = "max"
    AVERAGE = "average"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2d:
    """Square-kernel 2-d convolution; its bias is added digitally at no cost."""

    kind: ClassVar[str] = "conv2d"
    inputs: tuple[int, ...] = at_most(MAX_INPUTS)
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bits: Bits = Bits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Fully connected layer; a map is flattened channel, row, column before it."""

    kind: ClassVar[str] = "linear"
    inputs: tuple[int, ...] = at_most(MAX_INPUTS)
    out_features: int
    bits: Bits = Bits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool2d:
    """Square-window 2-d pooling; sizes round down, so a last odd row or column is dropped."""

    kind: ClassVar[str] = "pool2d"
    inputs: tuple[int, ...] = at_most(MAX_INPUTS)
    kernel_size: int
    stride: int
    padding: int = 0
    mode: PoolMode = PoolMode.MAX
    bits: Bits = Bits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Element-wise sum of maps of one shape."""

    kind: ClassVar[str] = "add"
    inputs: tuple[int, ...] = at_most(MAX_INPUTS)
    bits: Bits = Bits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiply:
    """Element-wise product; an input of one point (1 x 1) is broadcast over the others' points."""

    kind: ClassVar[str] = "multiply"
    inputs: tuple[int, ...] = at_most(MAX_INPUTS)
    bits: Bits = Bits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """Concatenation of maps of one height and width along the channels, in the order of the inputs."""

    kind: ClassVar[str] = "concat"
    inputs: tuple[int, ...] = at_most(MAX_INPUTS)
    bits: Bits = Bits()


Layer = Conv2d | Linear | Pool2d | Add | Multiply | Concat

LAYER_KINDS: dict[str, type[Layer]] = {
    cls.kind: cls for cls in (Conv2d, Linear, Pool2d, Add, Multiply, Concat)
}
"""Layer class by its kind: the name in JSON, in the proto's oneof and in error paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerList:
    """A network as the chip runs it, its shapes derived and checked once, here.

    Parameters
    ----------
    input_shape : Shape
        Shape of one input image.
    layers : tuple of Layer
        In order of computation: a layer reads only earlier ones.

    Attributes
    ----------
    shapes : tuple of Shape
        Output shape of each layer.

    Raises
    ------
    InvalidNetwork
        With the violations found; a layer or input at fault hides only its own consumers.
    """

    input_shape: Shape
    layers: tuple[Layer, ...] = at_most(MAX_LAYERS)
    shapes: tuple[Shape, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shapes", _derive_shapes(self))

    def input_shapes(self, index: int) -> tuple[Shape, ...]:
        """Shapes that layer `index` reads, in the order of its inputs."""
        return tuple(self.shape_of(i) for i in self.layers[index].inputs)

    def shape_of(self, index: int) -> Shape:
        """Output shape of layer `index`, or the network's input shape for -1."""
        return self.input_shape if index == NETWORK_INPUT else self.shapes[index]


def _derive_shapes(network: LayerList) -> tuple[Shape, ...]:
    if not 1 <= len(network.layers) <= MAX_LAYERS:
        raise InvalidNetwork.of(violation("layers", f"{len(network.layers)} layers", f"1 to {MAX_LAYERS}"))
    found = list(size_violations("input_shape", network.input_shape))
    image = None if found else network.input_shape
    shapes: list[Shape | None] = []
    for index, layer in enumerate(network.layers):
        path = f"layers[{index}].{layer.kind}"
        wrong = list(_field_violations(path, layer, index))
        inputs = [] if wrong else [image if i == NETWORK_INPUT else shapes[i] for i in layer.inputs]
        known = [s for s in inputs if s is not None]
        shape: Shape | None = None
        if known and len(known) == len(inputs):
            result = _output_shape(path, layer, known)
            if isinstance(result, Violation):
                wrong.append(result)
            else:
                shape = result
        found += wrong
        shapes.append(shape)
        if len(found) >= MAX_VIOLATIONS:
            break
    if found:
        raise InvalidNetwork.of(*found)
    return tuple(s for s in shapes if s is not None)


def layer_shape(path: str, index: int, layer: Layer, inputs: Sequence[Shape]) -> Shape:
    """Output shape of layer `index`, by the shapes that it reads, for whoever makes a network layer by layer.

    Raises
    ------
    InvalidNetwork
        As LayerList does, each field's path beginning with `path`.
    """
    wrong = list(_field_violations(path, layer, index))
    if wrong:
        raise InvalidNetwork.of(*wrong)
    shape = _output_shape(path, layer, inputs)
    if isinstance(shape, Violation):
        raise InvalidNetwork.of(shape)
    return shape


def size_violations(path: str, owner: object) -> Iterator[Violation]:
    """Check each integer field of a layer, shape or bits; padding may be 0, the rest must be positive."""
    for f in fields(owner):  # type: ignore[arg-type]  # every owner is a dataclass
        value = getattr(owner, f.name)
        least = 0 if f.name == "padding" else 1
        if f.name in ("inputs", "bits", "mode"):
            continue
        if type(value) is not int or not least <= value <= MAX_SIZE:
            yield violation(f"{path}.{f.name}", value, f"an integer from {least} to {MAX_SIZE}")


def _field_violations(path: str, layer: Layer, index: int) -> Iterator[Violation]:
    yield from size_violations(path, layer)
    yield from size_violations(f"{path}.bits", layer.bits)
    several = isinstance(layer, (Add, Multiply, Concat))
    least, most = (2, MAX_INPUTS) if several else (1, 1)
    if not least <= len(layer.inputs) <= most:
        wanted = f"{least} to {most} inputs" if several else "exactly one input"
        yield violation(f"{path}.inputs", f"{len(layer.inputs)} inputs", wanted)
        return
    for position, source in enumerate(layer.inputs):
        if type(source) is not int or not NETWORK_INPUT <= source < index:
            wanted = f"an earlier layer, from 0 to {index - 1}, or -1 for the network's input"
            yield violation(f"{path}.inputs[{position}]", source, wanted if index else "-1")
    if isinstance(layer, Pool2d) and layer.mode not in tuple(PoolMode):
        yield violation(f"{path}.mode", layer.mode, "max or average")


def _output_shape(path: str, layer: Layer, inputs: Sequence[Shape]) -> Shape | Violation:
    shape = _unbounded_shape(path, layer, inputs)
    if isinstance(shape, Shape) and max(shape.channels, shape.height, shape.width) > MAX_DERIVED:
        return Violation(path, f"makes a map of {shape}, wanted no size over {MAX_DERIVED}")
    return shape


def _unbounded_shape(path: str, layer: Layer, inputs: Sequence[Shape]) -> Shape | Violation:
    first = inputs[0]
    match layer:
        case Conv2d() | Pool2d():
            if isinstance(layer, Conv2d) and (
                first.channels % layer.groups or layer.out_channels % layer.groups
            ):
                wanted = f"a divisor of {first.channels} input and {layer.out_channels} output channels"
                return violation(f"{path}.groups", layer.groups, wanted)
            if isinstance(layer, Pool2d) and 2 * layer.padding > layer.kernel_size:
                wanted = f"at most half of the kernel size {layer.kernel_size}"
                return violation(f"{path}.padding", layer.padding, wanted)
            least = min(first.height, first.width) + 2 * layer.padding
            if layer.kernel_size > least:
                wanted = f"at most {least}, the padded side of its input {first}"
                return violation(f"{path}.kernel_size", layer.kernel_size, wanted)
            height, width = (
                (side + 2 * layer.padding - layer.kernel_size) // layer.stride + 1
                for side in (first.height, first.width)
            )
            channels = layer.out_channels if isinstance(layer, Conv2d) else first.channels
            return Shape(channels=channels, height=height, width=width)
        case Linear():
            return Shape(channels=layer.out_features, height=1, width=1)
        case Concat():
            if len({(s.height, s.width) for s in inputs}) > 1:
                return _shapes_differ(path, inputs, "inputs of one height and width")
            channels = sum(s.channels for s in inputs)
            return Shape(channels=channels, height=first.height, width=first.width)
        case Add():
            if len(set(inputs)) > 1:
                return _shapes_differ(path, inputs, "inputs of one shape")
            return first
        case Multiply():
            largest = max(inputs, key=lambda s: s.points)
            if any(
                s.channels != largest.channels
                or s not in (largest, Shape(channels=s.channels, height=1, width=1))
                for s in inputs
            ):
                return _shapes_differ(path, inputs, "inputs of one shape, or 1x1 with as many channels")
            return largest


def _shapes_differ(path: str, inputs: Sequence[Shape], wanted: str) -> Violation:
    return Violation(f"{path}.inputs", f"got shapes {', '.join(map(str, inputs))}, wanted {wanted}")


def macs(network: LayerList) -> int:
    """Multiply-accumulate operations of one inference: convolutions and linears only."""
    return sum(out.points * count for out, count in zip(network.shapes, weights(network), strict=True))


def params(network: LayerList) -> int:
    """Trainable values of the deployed network: weights and one bias an output channel or feature."""
    counts = zip(network.shapes, weights(network), strict=True)
    return sum(count + out.channels for out, count in counts if count)


def weights(network: LayerList) -> tuple[int, ...]:
    """Weights of each layer, without biases; none but convolutions and linears have any."""
    return tuple(_weights(network, layer) for layer in network.layers)


def _weights(network: LayerList, layer: Layer) -> int:
    source = network.shape_of(layer.inputs[0])
    match layer:
        case Conv2d():
            return layer.kernel_size**2 * (source.channels // layer.groups) * layer.out_channels
        case Linear():
            return source.elements * layer.out_features
        case _:
            return 0


def training_memory_bytes(network: LayerList, batch_size: int) -> int:
    """Estimated memory to train the network.

    Three values of 4 bytes an output element and image (activation, its gradient, one saved by
    normalisation), 16 bytes a parameter (weight, gradient, momentum, scratch).
    """
    elements = network.input_shape.elements + sum(s.elements for s in network.shapes)
    return 12 * batch_size * elements + 16 * params(network)
