"""Whatever is wrong with what comes from outside, the answer is a network or a typed error, soon."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto, helper

from services.common.errors import InvalidNetwork, NotFound
from services.hw_oracle.importers import from_mnsim, from_onnx
from services.hw_oracle.importers.onnx import MAX_NODES
from tests.hw_oracle.importers.onnx_files import CONV, WEIGHTS, file, model, node, numbers
from tests.hw_oracle.importers.test_mnsim import AGAIN, FC, POOL, SUM
from tests.hw_oracle.importers.test_mnsim import CONV as MNSIM_CONV

# One of each kind of operation, and shape arithmetic.
VALID = file(
    CONV,
    node("BatchNormalization", ["c", "b", "b", "b", "b"], ["n"], "norm"),
    node("Clip", ["n", "", "six"], ["r"], "clip"),
    node("Pad", ["r", "sides"], ["p"], "pad"),
    node("AveragePool", ["p"], ["q"], "pool", kernel_shape=[3, 3]),
    node("Add", ["q", "r"], ["s"], "sum"),
    node("GlobalAveragePool", ["s"], ["g"], "squeeze"),
    node("Mul", ["s", "g"], ["m"], "excite"),
    node("Concat", ["m", "r"], ["j"], "concat", axis=1),
    node("Shape", ["j"], ["shape"]),
    node("Slice", ["shape", "zero", "one"], ["first"]),
    node("Concat", ["first", "minus"], ["dims"], axis=0),
    node("Reshape", ["j", "dims"], ["f"], "flatten"),
    node("Gemm", ["f", "u"], ["y"], "fc"),
    tensors=WEIGHTS
    | {"six": (), "sides": numbers(0, 0, 1, 1, 0, 0, 1, 1), "u": (512, 5)}
    | {"zero": numbers(0), "one": numbers(1), "minus": numbers(-1)},
    image=("N", 3, 8, 8),
)


def read(data: bytes) -> None:
    try:
        network = from_onnx(data)
    except InvalidNetwork as error:
        assert error.violations and len(str(error)) < 3000  # noqa: PT017, PT018  # as good as a network
    else:
        assert network.layers


def test_the_file_that_is_mutated_is_valid() -> None:
    kinds = [layer.kind for layer in from_onnx(VALID).layers]
    assert kinds == ["conv2d", "pool2d", "add", "pool2d", "multiply", "concat", "linear"]


@settings(max_examples=400)
@given(st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_an_onnx_file_with_some_bytes_changed_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(VALID)
    for place, value in changes:
        data[place] = value
    read(bytes(data))


@given(st.integers(0, len(VALID) - 1), st.integers(0, len(VALID) - 1))
def test_an_onnx_file_with_a_piece_missing_is_read_or_refused(one: int, other: int) -> None:
    begin, end = sorted((one, other))
    read(VALID[:begin] + VALID[end:])
    read(VALID[:begin])


@given(st.binary(max_size=200))
def test_bytes_that_are_no_onnx_file_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidNetwork):
        from_onnx(data)


_odd = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1,
        2**80,
        1.5,
        float("nan"),
        "",
        "conv",
        [],
        [8, 8],
        [-1],
        [-1, -2],
        [None],
        {},
        {"a": 1},
    ]
)


@settings(max_examples=300)
@given(st.data())
def test_mnsim_lists_with_some_fields_changed_are_read_or_refused(data: st.DataObject) -> None:
    layers: list[Any] = copy.deepcopy([MNSIM_CONV, AGAIN, SUM, {"type": "relu"}, POOL, FC])
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(layers) - 1))
        if not isinstance(layers[index], dict) or data.draw(st.integers(0, 9)) == 0:
            layers[index] = data.draw(_odd)
        else:
            key = data.draw(
                st.sampled_from([*MNSIM_CONV, "Inputindex", "Infeature", "Outfeature", "Depthwise"])
            )
            layers[index][key] = data.draw(_odd)
    try:
        network = from_mnsim(layers)
    except InvalidNetwork as error:
        assert error.violations  # noqa: PT017
    else:
        assert network.layers


def test_a_file_that_is_not_there_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(NotFound, match="no such file"):
            from_onnx(path)


def test_an_empty_file_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(InvalidNetwork, match=r"graph.node: is missing"):
        from_onnx(tmp_path / "empty.onnx")
    (tmp_path / "text.onnx").write_text("this is no ONNX file")
    with pytest.raises(InvalidNetwork, match=r"text.onnx: cannot be read as ONNX"):
        from_onnx(str(tmp_path / "text.onnx"))


def test_a_graph_of_a_million_nodes_is_refused_before_it_is_walked() -> None:
    made = model([CONV], "c")
    one = node("Relu", ["c"], ["d"]).SerializeToString()
    # Nodes are field 1 of the graph, which is field 7 of the model.
    record = bytes([0x0A, len(one)]) + one
    body = record * 1_000_000
    size, length = len(body), b""
    while size:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
    with pytest.raises(
        InvalidNetwork, match=rf"graph.node: got '1000001 of them', wanted at most {MAX_NODES}"
    ):
        from_onnx(made.SerializeToString() + b"\x3a" + length + body)


@pytest.mark.parametrize("operation", ["ConstantOfShape", "Expand"])
def test_a_constant_that_would_fill_the_memory_is_not_made(operation: str) -> None:
    inputs = ["size"] if operation == "ConstantOfShape" else ["one", "size"]
    nodes = [node(operation, inputs, ["huge"], "a"), node("Reshape", ["x", "huge"], ["y"], "b")]
    tensors = {"size": numbers(2**40, 2**20), "one": numbers(1)}
    with pytest.raises(InvalidNetwork, match=r"nodes\['b'\].Reshape.shape: got 'values that are not in"):
        from_onnx(file(*nodes, tensors=tensors))


def test_shape_arithmetic_that_fails_is_named_with_its_node() -> None:
    nodes = [node("Gather", ["one", "size"], ["g"], "a"), node("Reshape", ["x", "g"], ["y"])]
    with pytest.raises(InvalidNetwork, match=r"nodes\['a'\].Gather: got 'IndexError"):
        from_onnx(file(*nodes, tensors={"size": numbers(5), "one": numbers(1)}))


def test_control_flow_is_refused_without_looking_into_it() -> None:
    body = helper.make_graph([node("Identity", ["x"], ["t"])], "then", [], [
        helper.make_tensor_value_info("t", TensorProto.FLOAT, None)
    ])  # fmt: skip
    choose = node("If", ["one"], ["y"], "a", then_branch=body, else_branch=body)
    with pytest.raises(InvalidNetwork, match=r"nodes\['a'\].If: .*without control flow"):
        from_onnx(file(choose, tensors={"one": numbers(1)}))


def test_attributes_of_the_wrong_type_are_named() -> None:
    for value in (b"two", 2.5, [1.5, 2.0], helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0])):
        with pytest.raises(InvalidNetwork, match=r"nodes\['a'\].Conv.strides: got .*, wanted whole numbers"):
            from_onnx(file(node("Conv", ["x", "w"], ["y"], "a", strides=value)))
    conv = node("Conv", ["x", "w"], ["y"], "a")
    conv.attribute.append(AttributeProto(name="strides", ref_attr_name="outer"))
    with pytest.raises(InvalidNetwork, match=r"nodes\['a'\].Conv.attribute"):
        from_onnx(file(conv))


def test_a_name_as_long_as_a_book_is_cut() -> None:
    with pytest.raises(InvalidNetwork) as caught:
        from_onnx(file(node("X" * 100_000, ["x"], ["y"], "\n" + "n" * 100_000)))
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=50))
def test_a_file_and_its_content_are_read_alike(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(VALID + tail)
    results = []
    for source in (path, VALID + tail):
        try:
            results.append(str(from_onnx(source)))
        except InvalidNetwork as error:
            results.append(str(error).replace(str(path), "model"))
    assert results[0] == results[1]
