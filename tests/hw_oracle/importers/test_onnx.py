"""What becomes of each operation of an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper

from services.common.errors import InvalidNetwork
from services.common.layers import (
    Add,
    Bits,
    Concat,
    Conv2d,
    Linear,
    Multiply,
    Pool2d,
    PoolMode,
    Shape,
)
from services.hw_oracle.importers import from_onnx
from tests.hw_oracle.importers.onnx_files import CONV, WEIGHTS, file, model, node, numbers

FIRST = Conv2d(inputs=(-1,), out_channels=4, kernel_size=3, padding=1)
AVERAGE = PoolMode.AVERAGE


@pytest.mark.parametrize(
    ("operation", "layer", "shape"),
    [
        (
            node("Conv", ["x", "w"], ["y"], strides=[2, 2]),
            Conv2d(inputs=(-1,), out_channels=4, kernel_size=3, stride=2),
            "4x3x3",
        ),
        (node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER"), FIRST, "4x8x8"),
        (
            node("Conv", ["x", "w"], ["y"], auto_pad="VALID"),
            Conv2d(inputs=(-1,), out_channels=4, kernel_size=3),
            "4x6x6",
        ),
        (
            node("Conv", ["x", "d"], ["y"], group=3),
            Conv2d(inputs=(-1,), out_channels=6, kernel_size=1, groups=3),
            "6x8x8",
        ),
        (
            node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
            Pool2d(inputs=(-1,), kernel_size=3, stride=2, padding=1),
            "3x4x4",
        ),
        (
            node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
            Pool2d(inputs=(-1,), kernel_size=2, stride=2),
            "3x4x4",
        ),
        (
            node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2]),
            Pool2d(inputs=(-1,), kernel_size=2, stride=1, mode=AVERAGE),
            "3x7x7",
        ),
        (
            node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
            Pool2d(inputs=(-1,), kernel_size=3, stride=1, padding=1, mode=AVERAGE),
            "3x8x8",
        ),
        (
            node("GlobalAveragePool", ["x"], ["y"]),
            Pool2d(inputs=(-1,), kernel_size=8, stride=8, mode=AVERAGE),
            "3x1x1",
        ),
        (node("GlobalMaxPool", ["x"], ["y"]), Pool2d(inputs=(-1,), kernel_size=8, stride=8), "3x1x1"),
        (
            node("ReduceMean", ["x", "axes"], ["y"]),
            Pool2d(inputs=(-1,), kernel_size=8, stride=8, mode=AVERAGE),
            "3x1x1",
        ),
    ],
)
def test_one_operation_is_one_layer(operation: NodeProto, layer: Any, shape: str) -> None:
    tensors = WEIGHTS | {"d": (6, 1, 1, 1), "axes": numbers(-1, 2)}
    network = from_onnx(file(operation, tensors=tensors))
    assert network.layers == (layer,)
    assert str(network.shapes[0]) == shape


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Gemm", ["f", "v", "b"], ["y"], transB=1)],
        [node("Gemm", ["f", "u"], ["y"])],
        [node("MatMul", ["f", "u"], ["y"])],
        [node("MatMul", ["f", "u"], ["m"]), node("Add", ["b", "m"], ["y"])],
        [node("Transpose", ["v"], ["t"], perm=[1, 0]), node("MatMul", ["f", "t"], ["y"])],
        [node("DequantizeLinear", ["v", "s"], ["q"]), node("Gemm", ["f", "q"], ["y"], transB=1)],
    ],
)
def test_a_product_with_a_constant_matrix_is_a_linear(nodes: list[NodeProto]) -> None:
    tensors = {"v": (5, 192), "u": (192, 5), "b": (5,), "s": (5,)}
    network = from_onnx(file(node("Flatten", ["x"], ["f"]), *nodes, tensors=tensors))
    assert network.layers == (Linear(inputs=(-1,), out_features=5),)


@pytest.mark.parametrize(
    "nodes",
    [
        [node("BatchNormalization", ["c", "b", "b", "b", "b"], ["y"])],
        [node("BatchNormalization", ["c", "b", "b", "b", "b"], ["n"]), node("Relu", ["n"], ["y"])],
        [node("Clip", ["c", "zero", "six"], ["y"])],
        [node("Clip", ["c", "", "six"], ["y"])],
        [node("Sigmoid", ["c"], ["s"]), node("Mul", ["c", "s"], ["y"])],
        # hard swish in full: x * clip(x + 3, 0, 6) / 6
        [node("Add", ["c", "six"], ["a"]), node("Clip", ["a", "zero", "six"], ["k"]),
         node("Div", ["k", "six"], ["d"]), node("Mul", ["c", "d"], ["y"])],
        [node("PRelu", ["c", "scale"], ["y"])],
        [node("Mul", ["c", "scale"], ["m"]), node("Sub", ["m", "scale"], ["y"])],
        [node("Dropout", ["c"], ["d", "mask"]), node("Identity", ["d"], ["y"])],
        [node("QuantizeLinear", ["c", "six"], ["q"]), node("DequantizeLinear", ["q", "six"], ["y"])],
        [node("Flatten", ["c"], ["f"]), node("Softmax", ["f"], ["y"])],
        [node("Reshape", ["c", "shape"], ["f"]), node("LogSoftmax", ["f"], ["y"])],
        [node("Pad", ["c", "none"], ["y"])],
        [node("Squeeze", ["c", "axis"], ["s"]), node("Unsqueeze", ["s", "axis"], ["y"])],
        [node("GlobalAveragePool", ["one"], ["k"]), node("Relu", ["c"], ["y"])],
    ],
)  # fmt: skip
def test_what_costs_nothing_vanishes(nodes: list[NodeProto]) -> None:
    tensors = WEIGHTS | {
        "zero": np.float32(0),
        "six": np.float32(6),
        "scale": (4, 1, 1),
        "shape": numbers(0, -1),
        "none": numbers(*[0] * 8),
        "axis": numbers(0),
        "one": (1, 4, 1, 1),
    }
    assert from_onnx(file(CONV, *nodes, tensors=tensors)).layers == (FIRST,)


@pytest.mark.parametrize(
    ("operation", "layer"),
    [
        (node("Add", ["c", "k"], ["y"]), Add(inputs=(0, 1))),
        (node("Sum", ["c", "k", "c"], ["y"]), Add(inputs=(0, 1, 0))),
        (node("Mul", ["k", "c"], ["y"]), Multiply(inputs=(1, 0))),
        (node("Concat", ["k", "c"], ["y"], axis=1), Concat(inputs=(1, 0))),
        (node("Concat", ["k", "c"], ["y"], axis=-3), Concat(inputs=(1, 0))),
    ],
)
def test_maps_are_joined(operation: NodeProto, layer: Any) -> None:
    second = node("Conv", ["x", "w"], ["k"], pads=[1, 1, 1, 1])
    assert from_onnx(file(CONV, second, operation)).layers[2:] == (layer,)


def test_vectors_are_joined_as_the_maps_that_they_were() -> None:
    nodes = [
        CONV,
        node("Flatten", ["c"], ["f"]),
        node("Flatten", ["x"], ["g"]),
        node("Concat", ["f", "g"], ["j"], axis=1),
        node("Gemm", ["j", "v"], ["y"]),
    ]
    network = from_onnx(file(*nodes, tensors=WEIGHTS | {"v": ((4 + 3) * 64, 5)}))
    assert network.layers[1:] == (Concat(inputs=(0, -1)), Linear(inputs=(1,), out_features=5))


def test_a_padding_of_its_own_joins_the_window_behind_it() -> None:
    tensors = WEIGHTS | {"p": numbers(0, 0, 1, 1, 0, 0, 1, 1)}
    pad = node("Pad", ["x", "p"], ["q"])
    assert from_onnx(file(pad, node("Conv", ["q", "w"], ["y"]), tensors=tensors)).layers == (FIRST,)
    quantised = [node("QuantizeLinear", ["q", "b"], ["r"]), node("DequantizeLinear", ["r", "b"], ["s"])]
    conv = node("Conv", ["s", "w"], ["y"])
    assert from_onnx(file(pad, *quantised, conv, tensors=tensors)).layers == (FIRST,)
    pool = node("AveragePool", ["q"], ["y"], kernel_shape=[3, 3])
    (layer,) = from_onnx(file(pad, pool, tensors=tensors)).layers
    assert layer == Pool2d(inputs=(-1,), kernel_size=3, stride=1, padding=1, mode=AVERAGE)


def test_dimensions_computed_in_the_graph_are_followed() -> None:
    # x.view(x.size(0), -1), as exported for any batch
    nodes = [
        CONV,
        node("Shape", ["c"], ["s"]),
        node("Constant", [], ["zero"], value_int=0),
        node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "axis"], ["batch"]),
        node("Concat", ["batch", "rest"], ["shape"], axis=0),
        node("Reshape", ["c", "shape"], ["f"]),
        node("MatMul", ["f", "u"], ["y"]),
    ]
    tensors = WEIGHTS | {"axis": numbers(0), "rest": numbers(-1), "u": (256, 5)}
    network = from_onnx(file(*nodes, tensors=tensors, image=("N", 3, 8, 8)))
    assert network.layers == (FIRST, Linear(inputs=(0,), out_features=5))


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 18, 20])
def test_axes_are_read_from_attributes_and_from_inputs_as_the_opset_has_them(opset: int) -> None:
    reduce = opset >= 18
    squeeze = opset >= 13
    nodes = [
        node("ReduceMean", ["x", "a"], ["r"]) if reduce else node("ReduceMean", ["x"], ["r"], axes=[2, 3]),
        node("Squeeze", ["r", "a"], ["f"]) if squeeze else node("Squeeze", ["r"], ["f"], axes=[2, 3]),
        node("MatMul", ["f", "u"], ["y"]),
    ]
    network = from_onnx(file(*nodes, tensors={"a": numbers(2, 3), "u": (3, 5)}, opset=opset))
    assert [layer.kind for layer in network.layers] == ["pool2d", "linear"]


def test_layers_that_no_output_depends_on_are_left_out() -> None:
    unused = node("Conv", ["x", "w"], ["unused"])
    assert from_onnx(file(unused, CONV, node("Relu", ["c"], ["y"]))).layers == (FIRST,)


def test_bits_are_every_layers() -> None:
    bits = Bits(input_bits=8, weight_bits=4, output_bits=6)
    network = from_onnx(
        file(CONV, node("Conv", ["c", "k"], ["y"]), tensors=WEIGHTS | {"k": (2, 4, 1, 1)}), bits=bits
    )
    assert [layer.bits for layer in network.layers] == [bits, bits]


def test_an_image_that_the_file_leaves_open_is_given() -> None:
    data = file(CONV, image=("N", 3, "H", "W"))
    image = Shape(channels=3, height=16, width=12)
    assert from_onnx(data, input_shape=image).shapes[0] == Shape(channels=4, height=16, width=12)
    with pytest.raises(InvalidNetwork, match=r"graph.input\['x'\].shape: got .*give the image's shape"):
        from_onnx(data)
    with pytest.raises(InvalidNetwork, match=r"input_shape: got '4x16x12', wanted \[3, None, None\]"):
        from_onnx(data, input_shape=Shape(channels=4, height=16, width=12))


def test_a_network_of_vectors_reads_a_vector() -> None:
    network = from_onnx(file(node("MatMul", ["x", "u"], ["y"]), tensors={"u": (7, 5)}, image=("N", 7)))
    assert network.input_shape == Shape(channels=7, height=1, width=1)


def test_weights_may_be_listed_among_the_inputs_as_old_files_do() -> None:
    made = model([CONV], "c")
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3, 3, 3]))
    assert from_onnx(made.SerializeToString()).layers == (FIRST,)
