"""What an ONNX graph may not hold, each refused by its node and field."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import NodeProto, TensorProto, helper

from services.common.errors import InvalidNetwork
from services.common.layers import MAX_LAYERS
from services.hw_oracle.importers import from_onnx
from tests.hw_oracle.importers.onnx_files import CONV, WEIGHTS, file, model, node, numbers

WRONG: list[tuple[Any, str]] = [
    (
        [node("Conv", ["x", "w"], ["y"], "a", dilations=[2, 2])],
        r"nodes\['a'\].Conv.dilation: got \[2, 2\], wanted 1",
    ),
    (
        [node("Conv", ["x", "w"], ["y"], "a", strides=[1, 2])],
        r"nodes\['a'\].Conv.stride: got \[1, 2\], wanted one",
    ),
    (
        [node("Conv", ["x", "w"], ["y"], "a", pads=[0, 0, 1, 1])],
        r"nodes\['a'\].Conv.padding: got \[0, 0, 1, 1\]",
    ),
    (
        [node("Conv", ["x", "w"], ["y"], "a", auto_pad="SAME_UPPER", strides=[2, 2])],
        r"nodes\['a'\].Conv.padding: got 'SAME of a window of 3 and a stride of 2 on 8 x 8', wanted the same",
    ),
    ([node("Conv", ["x", "oblong"], ["y"], "a")], r"nodes\['a'\].Conv.kernel_size: got \[3, 1\]"),
    (
        [node("Conv", ["x", "line"], ["y"], "a")],
        r"nodes\['a'\].Conv.weight: got \(4, 3, 3\), wanted 4 dimensions",
    ),
    (
        [node("Conv", ["x", "w"], ["y"], "a", group=3)],
        r"nodes\['a'\].Conv.weight: got '3 a group x 3 groups'",
    ),
    (
        [node("Conv", ["x", "w"], ["y"], "a", kernel_shape=[5, 5])],
        r"nodes\['a'\].Conv.kernel_shape: got \[5, 5\]",
    ),
    (
        [node("Conv", ["x", "w"], ["y"], "a", strides=[0, 0])],
        r"nodes\['a'\].Conv.stride: got 0, wanted an integer",
    ),
    ([node("Conv", ["x", "huge"], ["y"], "a")], r"nodes\['a'\].Conv.out_channels: got 4611686018427387904"),
    (
        [node("Relu", ["w"], ["v"]), node("Conv", ["x", "v"], ["y"], "a")],
        r"nodes\['a'\].Conv.weight: got 'computed in the graph', wanted weights stored",
    ),
    ([node("Conv", ["x", "x"], ["y"], "a")], r"nodes\['a'\].Conv.input\[1\]: got 'what follows from"),
    (
        [node("ConvTranspose", ["x", "w"], ["y"], "a")],
        r"nodes\['a'\].ConvTranspose: got 'ConvTranspose', wanted a convolution.*; transposed",
    ),
    ([node("Resize", ["x", "", "w"], ["y"], "a")], r"nodes\['a'\].Resize: .*; maps are not enlarged"),
    (
        [node("Relu", ["x"], ["r"]), node("Split", ["r"], ["y", "z"])],
        r"nodes\[1\].Split: .*give each branch a convolution of its own",
    ),
    (
        [node("FusedConv", ["x", "w"], ["y"], "a", domain="com.microsoft")],
        r"nodes\['a'\].com.microsoft.FusedConv: got 'FusedConv'",
    ),
    (
        [node("MaxPool", ["x"], ["y"], "a", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)],
        r"nodes\['a'\].MaxPool.ceil_mode: got True, wanted sizes that divide",
    ),
    (
        [node("MaxPool", ["x"], ["y"], "a", kernel_shape=[2, 2], dilations=[2, 2])],
        r"MaxPool.dilation: got \[2, 2\]",
    ),
    ([node("MaxPool", ["x"], ["y"], "a")], r"nodes\['a'\].MaxPool.kernel_shape: got None, wanted a value"),
    (
        [node("MaxPool", ["x"], ["y"], "a", kernel_shape=[9, 9])],
        r"MaxPool.kernel_size: got 9, wanted at most 8",
    ),
    (
        [node("ReduceMean", ["x", "one"], ["y"], "a")],
        r"nodes\['a'\].ReduceMean.axes: got \[1\], wanted \[2, 3\]",
    ),
    (
        [node("Transpose", ["x"], ["y"], "a", perm=[0, 2, 3, 1])],
        r"nodes\['a'\].Transpose.perm: got \[0, 2, 3, 1\].*channels first",
    ),
    (
        [node("Gemm", ["x", "u"], ["y"], "a")],
        r"nodes\['a'\].Gemm.input: got \[1, 3, 8, 8\], wanted one vector of 192 features; flatten the map",
    ),
    (
        [node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "u"], ["y"], "a")],
        r"nodes\['a'\].Gemm.weight: got '3 input features', wanted 192",
    ),
    (
        [node("MatMul", ["x", "x"], ["y"], "a")],
        r"nodes\['a'\].MatMul.input\[1\]: got 'what follows from the image",
    ),
    ([node("Reshape", ["x", "one"], ["y"], "a")], r"nodes\['a'\].Reshape: got '\[1, 3, 8, 8\] to \[1\]'"),
    (
        [node("Reshape", ["x", "w"], ["y"], "a")],
        r"nodes\['a'\].Reshape.shape: got 'values that are not in the file'",
    ),
    (
        [node("Softmax", ["x"], ["s"], "a"), node("Conv", ["s", "w"], ["y"], "b")],
        r"nodes\['a'\].Softmax: got \"nodes\['b'\].Conv behind it\", wanted a softmax only where",
    ),
    (
        [node("Add", ["x", "map"], ["y"], "a")],
        r"nodes\['a'\].Add.constant: got \[1, 3, 8, 8\], wanted one value, or",
    ),
    (
        [CONV, node("Add", ["c", "x"], ["y"], "a")],
        r"nodes\['a'\].Add.inputs: got \[1, 3, 8, 8\], wanted maps of one",
    ),
    ([CONV, node("Sub", ["c", "x"], ["y"], "a")], r"nodes\['a'\].Sub: got 'several maps', wanted one map"),
    ([CONV, node("Concat", ["c", "x"], ["y"], "a", axis=2)], r"nodes\['a'\].Concat.axis: got 'axis 2 of"),
    (
        [node("Pad", ["x", "sides"], ["p"], "a"), node("Relu", ["p"], ["y"], "b")],
        r"nodes\['b'\].Relu: got 'a padded map', wanted a convolution or pooling right behind",
    ),
    (
        [node("Pad", ["x", "sides"], ["y"], "a", mode="reflect")],
        r"nodes\['a'\].Pad.mode: got \['reflect', '0'\]",
    ),
    (
        [node("Relu", ["z"], ["y"], "a"), node("Relu", ["y"], ["z"])],
        r"nodes\['a'\].Relu.input: got 'z', wanted a tensor that.*cycles",
    ),
    ([node("Relu", ["x"], ["y"]), node("Relu", ["x"], ["y"], "a")], r"nodes\['a'\].Relu.output: got \['y'\]"),
    ([node("Relu", ["x"], ["y"])], r"outputs: no layer leads to them"),
    ([node("Constant", [], ["k"], "a")], r"nodes\['a'\].Constant: got \[\], wanted a value"),
]


@pytest.mark.parametrize(("nodes", "message"), WRONG)
def test_what_cannot_be_mapped_is_named_with_its_node_and_operation(
    nodes: list[NodeProto], message: str
) -> None:
    tensors = WEIGHTS | {
        "oblong": (4, 3, 3, 1),
        "line": (4, 3, 3),
        "huge": (2**62, 3, 1, 1),
        "one": numbers(1),
        "u": (3, 5),
        "map": (1, 3, 8, 8),
        "sides": numbers(0, 0, 1, 1, 0, 0, 1, 1),
    }
    with pytest.raises(InvalidNetwork, match=message):
        from_onnx(file(*nodes, tensors=tensors))


ATTRIBUTES: list[tuple[NodeProto, str]] = [
    (node("Conv", ["x", "w"], ["y"], "a", pads=[1, 1]), r"Conv.pads: got \[1, 1\], wanted 4 numbers"),
    (node("Conv", ["x", "w"], ["y"], "a", strides=[2]), r"Conv.strides: got \[2\], wanted 2 numbers"),
    (node("Conv", ["x", "w"], ["y"], "a", dilations=[1] * 3), r"Conv.dilations: got \[1, 1, 1\], wanted 2"),
    (node("Conv", ["x", "w"], ["y"], "a", group=[1, 1]), r"Conv.group: got \[1, 1\], wanted a whole number"),
    (
        node("MaxPool", ["x"], ["y"], "a", kernel_shape=[2, 2], pads=[1, 1]),
        r"MaxPool.pads: got \[1, 1\], wanted 4 numbers",
    ),
    (
        node("MaxPool", ["x"], ["y"], "a", kernel_shape=[2, 2], strides=[2] * 4),
        r"MaxPool.strides: got \[2, 2, 2, 2\], wanted 2 numbers",
    ),
    (node("ReduceMean", ["x", "far"], ["y"], "a"), r"ReduceMean.axes: got \[6, 7\], wanted different axes"),
    (node("Squeeze", ["x", "far"], ["y"], "a"), r"Squeeze.axes: got \[6, 7\], wanted different axes from -4"),
    (node("Squeeze", ["x", "twice"], ["y"], "a"), r"Squeeze.axes: got \[0, -4\], wanted different axes"),
    (node("Unsqueeze", ["x", "far"], ["y"], "a"), r"Unsqueeze.axes: got \[6, 7\], wanted different axes"),
    (
        node("Pad", ["x", "ends", "", "far"], ["y"], "a"),
        r"Pad.axes: got \[6, 7\], wanted different axes from",
    ),
    (node("Pad", ["x", "ends", "", "twice"], ["y"], "a"), r"Pad.axes: got \[0, -4\], wanted different axes"),
    (node("Pad", ["x", "ends"], ["y"], "a"), r"Pad.pads: got \[1, 1, 1, 1\], wanted a begin and an end"),
    (node("Softmax", ["x"], ["y"], "a", axis=4), r"Softmax.axis: got 4, wanted -4 to 3"),
    (node("Gemm", ["x", "w"], ["y"], "a", transA=1), r"Gemm.transA: got 1, wanted 0"),
]


@pytest.mark.parametrize(("wrong", "message"), ATTRIBUTES)
def test_attributes_of_a_wrong_length_or_range_are_named(wrong: NodeProto, message: str) -> None:
    tensors = WEIGHTS | {"far": numbers(6, 7), "twice": numbers(0, -4), "ends": numbers(1, 1, 1, 1)}
    with pytest.raises(InvalidNetwork, match=rf"nodes\['a'\].{message}"):
        from_onnx(file(wrong, tensors=tensors))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ((8, 3, 8, 8), r"graph.input\['x'\].shape\[0\]: got 8, wanted a batch of 1"),
        ((1, 3, 8), r"graph.input\['x'\].shape: got '3 dimensions'"),
        (None, r"graph.input\['x'\].shape: got None"),
        ((-1, 3, 0, 8), r"graph.input\['x'\].shape: got \['\?', 3, '\?', 8\], wanted known sizes"),
        ((1, 3, 2**40, 8), r"input_shape.height: got 1099511627776"),
    ],
)
def test_an_image_that_is_none_is_refused(image: Any, message: str) -> None:
    with pytest.raises(InvalidNetwork, match=message):
        from_onnx(file(CONV, image=image))


def test_a_second_input_is_refused() -> None:
    made = model([CONV], "c")
    made.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3]))
    with pytest.raises(InvalidNetwork, match=r"graph.input: got \['x', 'z'\], wanted exactly one"):
        from_onnx(made.SerializeToString())


@pytest.mark.parametrize("opset", [6, 10_000])
def test_an_opset_whose_operations_mean_something_else_is_refused(opset: int) -> None:
    with pytest.raises(InvalidNetwork, match=f"opset_import: got {opset}, wanted 7 to"):
        from_onnx(file(CONV, opset=opset))


def test_more_layers_than_a_network_has_are_refused_at_the_first_of_them() -> None:
    nodes = [CONV, *(node("Conv", [f"c{i}" if i else "c", "k"], [f"c{i + 1}"]) for i in range(MAX_LAYERS))]
    with pytest.raises(InvalidNetwork, match=rf"nodes\[{MAX_LAYERS}\].Conv: .*at most {MAX_LAYERS} layers"):
        from_onnx(file(*nodes, tensors=WEIGHTS | {"k": (4, 4, 1, 1)}))
