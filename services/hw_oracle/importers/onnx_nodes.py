"""One node of an ONNX graph -> what it makes: a layer, the same map seen otherwise, or a constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from services.common.layers import PoolMode
from services.hw_oracle.importers.assembler import Assembler
from services.hw_oracle.importers.onnx_constants import constant, fold, integers
from services.hw_oracle.importers.values import SAME, Constant, Dims, Value, refused, unsupported

VANISH = frozenset((
    "Abs", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "DequantizeLinear", "Dropout", "Elu",
    "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Mish",
    "Neg", "PRelu", "QuantizeLinear", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign",
    "Softplus", "Softsign", "Sqrt", "Swish", "Tanh", "ThresholdedRelu",
))  # fmt: skip
"""Functions of each value of one map; what else they read is constant."""

UNCHANGED = frozenset({"Cast", "DequantizeLinear", "Dropout", "Identity", "QuantizeLinear"})
"""Those of them that leave zeros zero, and may stand between a padding and its window."""

ELEMENTWISE = {
    "Add": "add",
    "Sum": "add",
    "Mul": "multiply",
    "Div": "",
    "Max": "",
    "Min": "",
    "Pow": "",
    "Sub": "",
}

TYPES = {
    "INT": "a whole number",
    "INTS": "whole numbers",
    "FLOAT": "a number with a point",
    "FLOATS": "numbers with a point",
    "STRING": "a text",
    "TENSOR": "a tensor",
}
"""How ONNX's types of attributes are told."""

END = frozenset({"Hardmax", "LogSoftmax", "Softmax"})

_CHANNELS = "channels are not picked or split: give each branch a convolution of its own"
_STATISTICS = "only normalisation with constant statistics folds into a convolution"
_QUANTISED = "export the quantised network with QuantizeLinear and DequantizeLinear"
HINTS = {
    "ConvTranspose": "transposed convolutions are not supported",
    **dict.fromkeys(("Gather", "Slice", "Split"), _CHANNELS),
    **dict.fromkeys(
        ("GroupNormalization", "InstanceNormalization", "LayerNormalization", "LRN"), _STATISTICS
    ),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"), _QUANTISED),
    "ReduceSum": "sums within a map are not supported; the mean over rows and columns is a pooling",
    **dict.fromkeys(("Resize", "Upsample"), "maps are not enlarged"),
    **dict.fromkeys(("If", "Loop", "Scan"), "export a graph without control flow"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node, its inputs already read; `proto` is onnx's NodeProto."""

    path: str
    proto: Any
    inputs: Sequence[Value | Constant | None]
    attributes: dict[str, Any]
    opset: int

    def read(self, make: Assembler) -> Value | Constant:
        """Give the node's first output, whose layer, if it is one, is then in `make`."""
        op = str(self.proto.op_type)  # a text that is no UTF-8 comes as bytes
        if self.proto.domain not in ("", "ai.onnx") or any(a.HasField("g") for a in self.proto.attribute):
            raise unsupported(self.path, op, HINTS)
        self._check(op)
        if op == "Constant":
            return constant(self.path, self.attributes)
        if op == "Shape" and isinstance(first := self._input(0), Value):
            return _shape(first.dims[self._int("start", 0) : self._int("end", len(first.dims))])
        if not any(isinstance(i, Value) for i in self.inputs):
            return fold(
                self.path, self.proto, [i for i in self.inputs if not isinstance(i, Value)], self.opset
            )
        return self._layer(make, op)

    def _check(self, op: str) -> None:
        """Compare the inputs and attributes with what the operation has in this opset."""
        from onnx.defs import SchemaError, get_schema

        try:
            schema = get_schema(op, self.opset, "")
        except SchemaError:
            fix = f"opset {self.opset} has no such operation"
            raise refused(self.path, op[:100], "an operation of ONNX", fix) from None
        count = len(self.inputs)
        if not schema.min_input <= count <= schema.max_input:
            wanted = f"{schema.min_input} to {schema.max_input}"
            raise refused(f"{self.path}.input", f"{count} inputs", wanted)
        for attribute in self.proto.attribute:
            known = schema.attributes.get(attribute.name)
            kind: Any = known and known.type  # an IntEnum, of which its stub does not tell
            if kind and kind.value != attribute.type:
                got = _told(self.attributes[attribute.name])
                raise refused(f"{self.path}.{attribute.name}", got, TYPES.get(kind.name, "another type"))
        lacking = [n for n, a in schema.attributes.items() if a.required and n not in self.attributes]
        if lacking:
            raise refused(f"{self.path}.{lacking[0]}", None, "a value")

    def _layer(self, make: Assembler, op: str) -> Value:
        path = self.path
        if op in ELEMENTWISE:
            return make.elementwise(path, ELEMENTWISE[op], [i for i in self.inputs if i is not None])
        if op == "Concat":
            return make.concat(path, [self._value(i) for i in range(len(self.inputs))], self._int("axis", 1))
        value = self._value(0)
        for index in range(1, len(self.inputs)):
            self._constant(index)
        if op == "BatchNormalization" and self._int("training_mode", 0):
            raise refused(f"{path}.training_mode", 1, "0, constant statistics", "export in evaluation mode")
        if op in VANISH:
            return value if op in UNCHANGED else make.activation(path, value)
        if op in END:
            rank, axis = len(value.dims), self._int("axis", -1)
            if not -rank <= axis < rank:
                raise refused(f"{path}.axis", axis, f"{-rank} to {rank - 1}")
            return make.end(path, value)
        match op:
            case "Conv":
                return self._conv(make, value)
            case "Gemm" | "MatMul":
                return self._linear(make, value)
            case "MaxPool" | "AveragePool":
                return self._pool(make, value)
            case "GlobalMaxPool" | "GlobalAveragePool":
                return make.adaptive_pool(path, value, _mode(op))
            case "ReduceMax" | "ReduceMean":
                axes = self._places(self._axes() or range(len(value.dims)), len(value.dims))
                return make.mean(path, value, _mode(op), axes, bool(self._int("keepdims", 1)))
            case "Pad":
                return self._pad(make, value)
            case "Transpose":
                return make.transpose(path, value, self._ints("perm", range(len(value.dims))[::-1]))
            case "Expand":
                return make.expand(path, value, _broadcast(path, value.dims, self._numbers(1, "shape")))
            case "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze":
                return make.reshape(path, value, self._reshaped(op, value.dims))
        raise unsupported(path, op, HINTS)

    def _conv(self, make: Assembler, value: Value) -> Value:
        weight = self._constant(1)
        if weight is None or weight.dims is None:
            raise refused(f"{self.path}.weight", "computed in the graph", "weights stored in the file")
        kernel = weight.dims[2:]
        if self._ints("kernel_shape", kernel) != kernel:
            got = _told(self.attributes["kernel_shape"])
            raise refused(f"{self.path}.kernel_shape", got, f"{list(kernel)}, as its weights have")
        return make.conv(
            self.path,
            value,
            weight.dims,
            stride=self._sizes("strides", 1, len(kernel)),
            padding=self._sides(len(kernel)),
            dilation=self._sizes("dilations", 1, len(kernel)),
            groups=self._int("group", 1),
        )

    def _linear(self, make: Assembler, value: Value) -> Value:
        weight, _ = self._constant(1), self._constant(2)
        if self._int("transA", 0):
            raise refused(f"{self.path}.transA", 1, "0: a vector stands in a row")
        if weight is None or weight.dims is None or len(weight.dims) != 2:
            wanted = "a constant matrix, which a vector is multiplied with"
            raise refused(f"{self.path}.weight", weight and weight.dims, wanted)
        features = weight.dims[::-1] if self._int("transB", 0) else weight.dims
        return make.linear(self.path, value, *features)

    def _pool(self, make: Assembler, value: Value) -> Value:
        kernel = self._ints("kernel_shape", ())
        if len(kernel) != 2:
            raise refused(f"{self.path}.kernel_shape", list(kernel), "2 sizes, as those of a 2-d pooling")
        return make.pool(
            self.path,
            value,
            _mode(self.proto.op_type),
            kernel=kernel,
            stride=self._sizes("strides", 1, 2),
            padding=self._sides(2),
            dilation=self._sizes("dilations", 1, 2),
            ceil=bool(self._int("ceil_mode", 0)),
        )

    def _sides(self, directions: int) -> Dims | None:
        auto = self.attributes.get("auto_pad", b"NOTSET")
        if auto in (b"SAME_UPPER", b"SAME_LOWER"):
            return SAME
        if auto not in (b"NOTSET", b"VALID"):
            raise refused(f"{self.path}.auto_pad", _told(auto), "NOTSET, VALID, SAME_UPPER or SAME_LOWER")
        return (0,) if auto == b"VALID" else self._sizes("pads", 0, 2 * directions)

    def _pad(self, make: Assembler, value: Value) -> Value:
        rank, old = len(value.dims), "pads" in self.attributes
        pads = self._ints("pads", ()) if old else self._numbers(1, "pads")
        axes = self._places(self._numbers(3, "axes") if self._input(3) else range(rank), rank)
        if len(pads) != 2 * len(axes):
            raise refused(f"{self.path}.pads", list(pads), f"a begin and an end for each of the axes {axes}")
        sides = [0] * (2 * rank)
        for place, size in enumerate(pads):
            end, axis = divmod(place, len(axes))
            sides[end * rank + axes[axis]] = size
        mode, filling = self.attributes.get("mode", b"constant"), self._constant(2)
        filled = self.attributes.get("value", 0) if filling is None else filling.value
        if any(sides) and (mode != b"constant" or not _is_zero(filled)):
            raise refused(f"{self.path}.mode", [_told(mode), str(filled)[:50]], "constant, zero")
        if rank == 4 and any(sides[axis] for axis in (0, 1, 4, 5)):
            raise refused(f"{self.path}.pads", list(pads), "rows and columns padded only")
        return make.pad(self.path, value, (*sides[2:4], *sides[6:8]) if rank == 4 else sides)

    def _reshaped(self, op: str, dims: Dims) -> Dims:
        rank = len(dims)
        if op == "Reshape":
            return self._filled(dims, self._numbers(1, "shape"))
        if op == "Flatten":
            axis = self._int("axis", 1)
            if not -rank <= axis <= rank:
                raise refused(f"{self.path}.axis", axis, f"{-rank} to {rank}")
            return prod(dims[:axis]), prod(dims[axis:])
        axes = self._axes()
        if op == "Squeeze":
            axes = axes if axes is not None else tuple(a for a, size in enumerate(dims) if size == 1)
            gone = self._places(axes, rank)
            if any(dims[axis] != 1 for axis in gone):
                raise refused(f"{self.path}.axes", list(axes), f"axes of size 1 of {list(dims)}")
            return tuple(size for axis, size in enumerate(dims) if axis not in gone)
        if axes is None:
            raise refused(f"{self.path}.axes", None, "constant numbers")
        new = rank + len(axes)
        places = self._places(axes, new)
        rest = iter(dims)
        return tuple(1 if axis in places else next(rest) for axis in range(new))

    def _filled(self, dims: Dims, target: Dims) -> Dims:
        """Dimensions that a reshape asks for: 0 keeps one, -1 is what is left over."""
        copy = not self._int("allowzero", 0)
        made = [dims[i] if size == 0 and copy and i < len(dims) else size for i, size in enumerate(target)]
        rest = prod(size for size in made if size != -1)
        if made.count(-1) == 1 and rest > 0 and prod(dims) % rest == 0:
            made[made.index(-1)] = prod(dims) // rest
        if min(made, default=1) < 1:
            raise refused(f"{self.path}.shape", list(target), f"dimensions for {prod(dims)} elements")
        return tuple(made)

    def _axes(self) -> Dims | None:
        if "axes" in self.attributes:
            return self._ints("axes", ())
        return self._numbers(1, "axes") if self._input(1) else None

    def _places(self, axes: Sequence[int], rank: int) -> Dims:
        """Count axes from the first one on."""
        if any(not -rank <= axis < rank for axis in axes) or len({axis % rank for axis in axes}) != len(axes):
            raise refused(f"{self.path}.axes", list(axes), f"different axes from {-rank} to {rank - 1}")
        return tuple(axis % rank for axis in axes)

    def _numbers(self, index: int, name: str) -> Dims:
        found = self._constant(index)
        if found is None:
            raise refused(f"{self.path}.{name}", None, "constant numbers")
        return integers(self.path, found, name)

    def _input(self, index: int) -> Value | Constant | None:
        return self.inputs[index] if index < len(self.inputs) else None

    def _value(self, index: int) -> Value:
        found = self._input(index)
        if not isinstance(found, Value):
            raise refused(f"{self.path}.input[{index}]", "a constant", "what follows from the image")
        return found

    def _constant(self, index: int) -> Constant | None:
        found = self._input(index)
        if isinstance(found, Value):
            got = "what follows from the image"
            raise refused(f"{self.path}.input[{index}]", got, "a constant")
        return found

    def _int(self, name: str, default: int) -> int:
        value: int = self.attributes.get(name, default)
        return value

    def _ints(self, name: str, default: Sequence[int]) -> Dims:
        return tuple(self.attributes.get(name, default))

    def _sizes(self, name: str, default: int, count: int) -> Dims:
        values = self._ints(name, (default,) * count)
        if len(values) != count:
            raise refused(f"{self.path}.{name}", list(values), f"{count} numbers")
        return values


def _mode(op: str) -> PoolMode:
    return PoolMode.MAX if "Max" in op else PoolMode.AVERAGE


def _told(attribute: Any) -> Any:
    """Show an attribute, but not a tensor or a graph."""
    if isinstance(attribute, bytes):
        return attribute.decode(errors="replace")
    return attribute if isinstance(attribute, (int, float, list)) else type(attribute).__name__


def _is_zero(value: Any) -> bool:
    """Whether a number, or an array of one, is 0."""
    values = value.ravel().tolist() if hasattr(value, "ravel") else [value]
    return len(values) == 1 and values[0] == 0


def _shape(dims: Dims) -> Constant:
    import numpy as np

    return Constant((len(dims),), np.array(dims, np.int64))


def _broadcast(path: str, dims: Dims, target: Dims) -> Dims:
    rank = max(len(dims), len(target))
    ones = (1,) * rank
    pairs = list(zip((*ones, *dims)[-rank:], (*ones, *target)[-rank:], strict=True))
    if any(1 not in pair and pair[0] != pair[1] for pair in pairs):
        raise refused(f"{path}.shape", list(target), f"a shape that {list(dims)} can be repeated to")
    return tuple(max(pair) for pair in pairs)
