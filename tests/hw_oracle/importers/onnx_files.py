"""ONNX files made node by node, with weights of which only the dimensions are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

node = helper.make_node

WEIGHTS: dict[str, Any] = {"w": (4, 3, 3, 3), "b": (4,)}

CONV = node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1])


def tensor(name: str, content: Any) -> TensorProto:
    """A tensor with values, given as an array; or, given as its dimensions, without."""
    if isinstance(content, (np.ndarray, np.generic)):
        return numpy_helper.from_array(np.asarray(content), name)
    return TensorProto(name=name, data_type=TensorProto.FLOAT, dims=content)


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def model(
    nodes: Sequence[NodeProto],
    output: str = "y",
    tensors: Mapping[str, Any] = WEIGHTS,
    image: Sequence[int | str | None] | None = (1, 3, 8, 8),
    opset: int = 20,
) -> onnx.ModelProto:
    """A graph of image `x` that ends in `output`."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [tensor(name, content) for name, content in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def file(*nodes: NodeProto, **options: Any) -> bytes:
    """The content of a file whose last node makes the output."""
    return model(nodes, nodes[-1].output[0], **options).SerializeToString()
