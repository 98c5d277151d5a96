"""Constants of an ONNX graph: the dimensions of weights, and the values of shape arithmetic.

Weights are never read. Small constants are, because graphs compute the dimensions of a reshape
and the sides of a padding from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from services.hw_oracle.importers.values import Constant, Dims, refused

MAX_ELEMENTS = 64
"""Values of the largest constant that is read; dimensions and paddings are far smaller."""

FOLDED = frozenset((
    "Add", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Floor", "Gather",
    "Identity", "Max", "Min", "Mod", "Mul", "Neg", "ReduceProd", "Reshape", "Slice", "Squeeze", "Sub",
    "Transpose", "Unsqueeze", "Where",
))  # fmt: skip
"""Operations of shape arithmetic."""

QUANTISED = frozenset({"DequantizeLinear", "QuantizeLinear"})

KEPT = frozenset({"Cast", "Identity"})
"""Operations that leave the dimensions of weights as they are."""


def tensor(path: str, proto: Any) -> Constant:
    """Read the dimensions of a TensorProto, and its values where these are few and in the file itself."""
    from onnx import TensorProto, numpy_helper

    dims = tuple(proto.dims)
    if any(size < 0 for size in dims):
        raise refused(f"{path}.dims", list(dims), "no negative size")
    if prod(dims) > MAX_ELEMENTS or proto.data_location == TensorProto.EXTERNAL:
        return Constant(dims)
    try:
        return Constant(dims, numpy_helper.to_array(proto))
    except Exception:  # a tensor without its values, which may be a weight
        return Constant(dims)


def constant(path: str, attributes: dict[str, Any]) -> Constant:
    """Read a Constant node, whose value stands in one of its attributes."""
    import numpy as np
    from onnx import TensorProto

    for name in ("value_int", "value_ints", "value_float", "value_floats"):
        if name in attributes:
            value = np.asarray(attributes[name])
            return Constant(value.shape, value if value.size <= MAX_ELEMENTS else None)
    stored = attributes.get("value")
    if not isinstance(stored, TensorProto):
        raise refused(path, sorted(attributes)[:8], "a value, of numbers in a dense tensor")
    return tensor(path, stored)


def fold(path: str, node: Any, inputs: Sequence[Constant | None], opset: int) -> Constant:
    """Compute a node of shape arithmetic; of any other node of constants tell what is known."""
    known = [c for c in inputs if c is not None]
    first = known[0] if known else Constant(None)
    if node.op_type in QUANTISED or (node.op_type in KEPT and first.value is None):
        return Constant(first.dims)
    if node.op_type == "Transpose" and first.value is None and first.dims is not None:
        order = next((list(a.ints) for a in node.attribute if a.name == "perm"), [])
        reverse = list(range(len(first.dims)))[::-1]
        if sorted(order or reverse) == reverse[::-1]:
            return Constant(tuple(first.dims[axis] for axis in order or reverse))
    if node.op_type not in FOLDED or not known or any(c.value is None for c in known):
        return Constant(None)
    grows = node.op_type in ("ConstantOfShape", "Expand")  # a few values may ask for many
    if grows and prod(integers(path, known[-1], "shape")) > MAX_ELEMENTS:
        return Constant(None)
    feeds: dict[str, Any] = {
        name: c.value for name, c in zip(node.input, inputs, strict=True) if c is not None
    }
    value = _run(path, node, feeds, opset)
    return Constant(value.shape, value if value.size <= MAX_ELEMENTS else None)


def _run(path: str, node: Any, feeds: dict[str, Any], opset: int) -> Any:
    """Let onnx's reference implementation run one node."""
    import numpy as np
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    try:
        made = [helper.make_tensor_value_info(node.output[0], 0, None)]
        read = [helper.make_tensor_value_info(name, 0, None) for name in feeds]
        graph = helper.make_graph([node], "fold", read, made)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.domain, opset)])
        with np.errstate(all="ignore"):
            results: Any = ReferenceEvaluator(model).run(None, feeds)
            return np.asarray(results[0])
    except Exception as error:  # whatever a wrong node leads to
        raise refused(
            path, f"{type(error).__name__}: {error}"[:200], "shape arithmetic that can be computed"
        ) from None


def integers(path: str, value: Constant, name: str) -> Dims:
    """Values of a constant that states dimensions, axes or sides."""
    if value.value is None:
        raise refused(
            f"{path}.{name}", "values that are not in the file", f"at most {MAX_ELEMENTS} constant values"
        )
    if value.value.dtype.kind not in "iu":
        raise refused(f"{path}.{name}", str(value.value.dtype), "whole numbers")
    return tuple(map(int, value.value.ravel()))
