"""Operations of a traced graph -> layers: what is a layer, what vanishes, what is refused.

A tensor of the graph is a `Value`: a layer's output, seen through operations that cost nothing on the chip.
A graph's nodes are named in paths such as ``nodes['features.0'].Conv.dilations``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from services.common.errors import InvalidNetwork, Violation
from services.common.layers import (
    MAX_LAYERS,
    NETWORK_INPUT,
    Add,
    Bits,
    Concat,
    Conv2d,
    Layer,
    LayerList,
    Linear,
    Multiply,
    Pool2d,
    PoolMode,
    Shape,
    layer_shape,
)
from services.hw_oracle.importers.values import (
    SAME,
    Constant,
    Dims,
    Value,
    core,
    fixed_window,
    per_channel,
    refused,
    same_padding,
    square,
    undilated,
)

MAX_RANK = 8
"""Most dimensions of a tensor: what a network needs and more."""


class Assembler:
    """Layers as they are found, each shape checked at once, each error with the path of the graph's node."""

    def __init__(self, input_shape: Shape, dims: Dims, bits: Bits) -> None:
        # A network that does nothing checks the shape and the bits.
        LayerList(input_shape=input_shape, layers=(Pool2d(inputs=(-1,), kernel_size=1, stride=1, bits=bits),))
        self.input = Value(source=NETWORK_INPUT, dims=dims)
        self._input_shape, self._bits = input_shape, bits
        self._layers: list[Layer] = []
        self._shapes: list[Shape] = []

    def conv(
        self,
        path: str,
        value: Value,
        weight: Dims,
        *,
        stride: Sequence[int],
        padding: Sequence[int] | None,
        dilation: Sequence[int],
        groups: int,
    ) -> Value:
        """Append a convolution; `weight` is out_channels x in_channels / groups x rows x columns."""
        if len(weight) != 4:
            raise refused(f"{path}.weight", weight, "4 dimensions, as those of a 2-d convolution")
        shape = self._map(path, value)
        if weight[1] * groups != shape.channels:
            wanted = f"{shape.channels} input channels, as many as its input {shape} has"
            raise refused(f"{path}.weight", f"{weight[1]} a group x {groups} groups", wanted)
        kernel_size, side_stride = square(path, "kernel_size", weight[2:]), square(path, "stride", stride)
        undilated(path, dilation)
        layer = Conv2d(
            inputs=(value.source,),
            out_channels=weight[0],
            kernel_size=kernel_size,
            stride=side_stride,
            padding=value.padding + self._padding(path, value, padding, kernel_size, side_stride),
            groups=groups,
            bits=self._bits,
        )
        return self._append(path, layer, (value,))

    def linear(self, path: str, value: Value, in_features: int, out_features: int) -> Value:
        """Append a linear layer over the last dimension, which has to be the only one."""
        elements = self._shape(value).elements
        if value.padding or not value.dims or value.dims[-1] != elements or prod(value.dims) != elements:
            fix = "flatten the map before, in the order channel, row, column"
            raise refused(f"{path}.input", list(value.dims), f"one vector of {elements} features", fix)
        if in_features != elements:
            raise refused(f"{path}.weight", f"{in_features} input features", str(elements))
        layer = Linear(inputs=(value.source,), out_features=out_features, bits=self._bits)
        return self._append(path, layer, (value,), (*value.dims[:-1], out_features))

    def pool(
        self,
        path: str,
        value: Value,
        mode: PoolMode,
        *,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int] | None,
        dilation: Sequence[int] = (1,),
        ceil: bool = False,
    ) -> Value:
        """Append a pooling; rounding up is taken where nothing is left over to round.

        Whether zeros of the padding count in an average, and by what it is divided, costs the same.
        """
        self._map(path, value)
        kernel_size, side_stride = square(path, "kernel_size", kernel), square(path, "stride", stride)
        undilated(path, dilation)
        own = self._padding(path, value, padding, kernel_size, side_stride)
        if ceil and any((side + 2 * own - kernel_size) % max(side_stride, 1) for side in value.dims[2:]):
            raise refused(f"{path}.ceil_mode", True, "sizes that divide, or sizes that round down")
        return self._pool(path, value, mode, kernel_size, side_stride, own)

    def adaptive_pool(self, path: str, value: Value, mode: PoolMode, out: Sequence[int] = (1, 1)) -> Value:
        """Append the pooling by a fixed square window that makes `out` rows and columns, if there is one."""
        shape = self._map(path, value)
        window = None if value.padding else fixed_window((shape.height, shape.width), tuple(out))
        if window is None:
            wanted = f"sizes that one square window makes of a map of {shape}"
            raise refused(f"{path}.output_size", list(out), wanted)
        return self._pool(path, value, mode, *window, 0)

    def mean(self, path: str, value: Value, mode: PoolMode, axes: Sequence[int], keep_dims: bool) -> Value:
        """Append the pooling that a reduction over rows and columns is."""
        rank = len(value.dims)
        if rank != 4 or {axis % rank for axis in axes} != {2, 3}:
            raise refused(f"{path}.axes", list(axes), "[2, 3], rows and columns of a map")
        made = self.adaptive_pool(path, value, mode)
        return made if keep_dims else replace(made, dims=made.dims[:2])

    def activation(self, path: str, value: Value) -> Value:
        """Leave out a function of each value, such as an activation or a normalisation."""
        if value.padding:
            raise refused(path, "a padded map", "a convolution or pooling right behind the padding")
        return value

    def elementwise(self, path: str, kind: str, values: Sequence[Value | Constant]) -> Value:
        """Append what `kind` says, add or multiply, of several maps; of one map alone it is an activation.

        So are x * sigmoid(x), x + 3 and x / 6: functions of each value of one map. A constant for each
        channel is a part of the normalisation.
        """
        maps = [v for v in values if isinstance(v, Value)]
        for value in values:
            if isinstance(value, Constant) and not per_channel(maps[0].dims, value.dims):
                wanted = f"one value, or one for each channel of a map of {list(maps[0].dims)}"
                raise refused(f"{path}.constant", value.dims and list(value.dims), wanted)
        if len(set(maps)) == 1:
            return self.activation(path, maps[0])
        if kind == "add":
            self._alike(path, maps, maps[0])
            dims = _broadcast(path, maps)
            return self._append(path, Add(inputs=_sources(maps), bits=self._bits), maps, dims)
        if kind == "multiply":
            largest = max(maps, key=lambda v: (self._shape(v).points, prod(v.dims)))
            # 1 x 1 maps, before or after they were expanded, are read by every point.
            self._alike(path, [v for v in maps if not self._scales(v, largest)], largest)
            dims = _broadcast(path, maps)
            return self._append(path, Multiply(inputs=_sources(maps), bits=self._bits), maps, dims)
        raise refused(path, "several maps", "one map, and constants")

    def concat(self, path: str, values: Sequence[Value], axis: int) -> Value:
        """Append a concatenation along the channels, or of vectors."""
        if len(values) == 1:
            return values[0]
        first = values[0].dims
        axis = axis + len(first) if axis < 0 else axis
        for value in values:
            alike = len(value.dims) == len(first) and value.dims[axis + 1 :] == first[axis + 1 :]
            if not (alike and 0 <= axis < len(first) and prod(value.dims[:axis]) == 1 and self._whole(value)):
                got = f"axis {axis} of {[list(v.dims) for v in values[:8]]}"
                raise refused(f"{path}.axis", got, "axis 1, the channels of maps of one height and width")
        dims = (*first[:axis], sum(v.dims[axis] for v in values), *first[axis + 1 :])
        return self._append(path, Concat(inputs=_sources(values), bits=self._bits), values, dims)

    def pad(self, path: str, value: Value, sides: Sequence[int]) -> Value:
        """Put zeros on all four sides of a map, for the convolution or pooling behind to take up."""
        if not any(sides):
            return value
        if min(sides) < 0:
            raise refused(f"{path}.pads", list(sides), "0 or more on each side: maps are not cropped")
        self._map(path, value)
        padding = square(path, "padding", sides)
        dims = (*value.dims[:2], *(side + 2 * padding for side in value.dims[2:]))
        return replace(value, dims=dims, padding=value.padding + padding)

    def reshape(self, path: str, value: Value, dims: Dims) -> Value:
        """See the same elements, in the same order, in other dimensions."""
        if dims == value.dims:
            return value
        _check_rank(path, dims)
        if prod(dims) != prod(value.dims) or not self._whole(value):
            got = f"{list(value.dims)} to {list(dims)}"
            raise refused(path, got, "a map or vector with as many elements, not padded and not expanded")
        return replace(value, dims=dims)

    def transpose(self, path: str, value: Value, order: Sequence[int]) -> Value:
        """Exchange dimensions of which at most one is not 1, which leaves the order of the elements."""
        if sorted(order) != list(range(len(value.dims))):
            raise refused(f"{path}.perm", list(order), f"each axis of {list(value.dims)} once")
        long = [axis for axis in order if value.dims[axis] != 1]
        if long != sorted(long):
            fix = "make the network with its channels first, N x C x H x W"
            raise refused(f"{path}.perm", list(order), "an order that moves no elements", fix)
        return self.reshape(path, value, tuple(value.dims[axis] for axis in order))

    def expand(self, path: str, value: Value, dims: Dims) -> Value:
        """Repeat the one point of a map over rows and columns, for the product behind."""
        _check_rank(path, dims)
        channels = self._shape(value).channels
        if prod(dims) == prod(value.dims):
            return self.reshape(path, value, dims)
        if value.dims[-3:] != (channels, 1, 1) or dims[:-2] != (1, channels) or not self._whole(value):
            got = f"{list(value.dims)} to {list(dims)}"
            raise refused(path, got, "a map of 1 x 1, repeated over rows and columns")
        return replace(value, dims=dims)

    def end(self, path: str, value: Value) -> Value:
        """Leave out a softmax, as long as no layer comes behind it."""
        return replace(value, ended=value.ended or path)

    def finish(self, outputs: Iterable[Value]) -> LayerList:
        """Make the network of all layers that an output depends on."""
        needed = {v.source for v in outputs}
        for index in reversed(range(len(self._layers))):
            if index in needed:
                needed.update(self._layers[index].inputs)
        kept = [index for index in range(len(self._layers)) if index in needed]
        if not kept:
            raise InvalidNetwork.of(Violation("outputs", "no layer leads to them, wanted at least one"))
        place = {NETWORK_INPUT: NETWORK_INPUT} | {index: new for new, index in enumerate(kept)}
        layers = [self._layers[index] for index in kept]
        moved = [replace(layer, inputs=tuple(place[i] for i in layer.inputs)) for layer in layers]
        return LayerList(input_shape=self._input_shape, layers=tuple(moved))

    def _append(self, path: str, layer: Layer, values: Sequence[Value], dims: Dims | None = None) -> Value:
        for value in values:
            if value.ended:
                raise refused(value.ended, f"{path} behind it", "a softmax only where the network ends")
        if len(self._layers) == MAX_LAYERS:
            raise refused(path, f"layer {MAX_LAYERS + 1}", f"at most {MAX_LAYERS} layers")
        shape = layer_shape(path, len(self._layers), layer, [self._shape(v) for v in values])
        self._layers.append(layer)
        self._shapes.append(shape)
        return Value(
            source=len(self._layers) - 1, dims=dims or (1, shape.channels, shape.height, shape.width)
        )

    def _pool(
        self, path: str, value: Value, mode: PoolMode, kernel_size: int, stride: int, padding: int
    ) -> Value:
        padding += value.padding
        if (kernel_size, stride, padding) == (1, 1, 0):
            return value
        layer = Pool2d(
            inputs=(value.source,),
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            mode=mode,
            bits=self._bits,
        )
        return self._append(path, layer, (value,))

    def _shape(self, value: Value) -> Shape:
        return self._input_shape if value.source == NETWORK_INPUT else self._shapes[value.source]

    def _map(self, path: str, value: Value) -> Shape:
        """Shape of a value that is a layer's map, maybe padded."""
        shape, more = self._shape(value), 2 * value.padding
        dims = (1, shape.channels, shape.height + more, shape.width + more)
        if value.dims != dims:
            raise refused(f"{path}.input", list(value.dims), f"the map as its layer makes it, {list(dims)}")
        return shape

    def _padding(
        self, path: str, value: Value, sides: Sequence[int] | None, kernel_size: int, stride: int
    ) -> int:
        if sides is SAME:
            return same_padding(path, value.dims[2:], kernel_size, stride)
        return square(path, "padding", sides)

    def _whole(self, value: Value) -> bool:
        return not value.padding and prod(value.dims) == self._shape(value).elements

    def _scales(self, value: Value, largest: Value) -> bool:
        """Whether `value` has one point, and is read by every point of the largest."""
        shape = self._shape(value)
        alone = (shape.channels, 1, 1)
        return shape.points == 1 and value.dims[-3:] in (alone, largest.dims[-3:]) and len(value.dims) >= 3

    def _alike(self, path: str, values: Sequence[Value], wanted: Value) -> None:
        for value in values:
            if core(value.dims) != core(wanted.dims) or not self._whole(value):
                raise refused(
                    f"{path}.inputs", list(value.dims), f"maps of one shape, here {list(wanted.dims)}"
                )


def _check_rank(path: str, dims: Dims) -> None:
    if len(dims) > MAX_RANK:
        raise refused(path, f"{len(dims)} dimensions", f"at most {MAX_RANK}")


def _broadcast(path: str, maps: Sequence[Value]) -> Dims:
    """Dimensions of what maps of several dimensions make element by element: those of one of them."""
    found = [list(v.dims) for v in maps[:8]]
    try:
        dims = np.broadcast_shapes(*(v.dims for v in maps))
    except ValueError:
        raise refused(f"{path}.inputs", found, "maps of one shape, or 1 x 1 with as many channels") from None
    if prod(dims) != max(prod(v.dims) for v in maps):
        raise refused(f"{path}.inputs", found, f"one as large as what they make, {list(dims)}")
    return dims


def _sources(values: Sequence[Value]) -> tuple[int, ...]:
    return tuple(v.source for v in values)
