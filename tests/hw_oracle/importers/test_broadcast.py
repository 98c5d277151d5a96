"""Sums, products and views of maps of several dimensions: what they are does not depend on their order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import NodeProto

from services.common.errors import InvalidNetwork
from services.common.layers import Add, Shape
from services.hw_oracle.importers import from_onnx, from_torch
from tests.hw_oracle.importers.onnx_files import CONV, file, node, numbers

GATES = [
    CONV,
    node("GlobalAveragePool", ["c"], ["g"], "g"),
    node("Flatten", ["g"], ["flat"], "flat"),
]


@pytest.mark.parametrize("inputs", [["flat", "g"], ["g", "flat"]])
def test_a_vector_and_a_map_that_make_something_larger_are_refused_in_any_order(inputs: list[str]) -> None:
    nodes = [*GATES, node("Mul", inputs, ["y"], "m")]
    with pytest.raises(InvalidNetwork, match=r"Mul\.inputs"):  # numpy makes 1 x 4 x 1 x 4 of them
        from_onnx(file(*nodes))


@pytest.mark.parametrize("inputs", [["g", "c"], ["c", "g"]])
def test_a_sum_of_a_1x1_map_with_a_larger_one_is_refused_in_any_order(inputs: list[str]) -> None:
    with pytest.raises(InvalidNetwork, match=r"Add\.inputs: .*wanted maps of one shape"):
        from_onnx(file(*GATES, node("Add", inputs, ["y"], "a")))


@pytest.mark.parametrize(
    "operation", [node("Add", ["f", "v"], ["y"]), node("Concat", ["f", "v"], ["y"], axis=1)]
)
def test_a_flattened_map_and_a_vector_are_not_joined(operation: NodeProto) -> None:
    nodes = [CONV, node("Flatten", ["c"], ["f"]), node("Gemm", ["f", "u"], ["v"]), operation]
    weights = {"w": (4, 3, 3, 3), "b": (4,), "u": (256, 256)}
    with pytest.raises(InvalidNetwork, match=r"inputs: got shapes 4x8x8, 256x1x1, wanted inputs of one"):
        from_onnx(file(*nodes, tensors=weights))


@pytest.mark.parametrize("inputs", [["three", "d"], ["d", "three"]])
def test_a_sum_without_the_batch_is_a_map_with_it_in_any_order(inputs: list[str]) -> None:
    nodes: list[NodeProto] = [
        CONV,
        node("Conv", ["x", "w", "b"], ["d"], "other", pads=[1, 1, 1, 1]),
        node("Reshape", ["c", "sides"], ["three"], "r"),
        node("Add", inputs, ["s"], "a"),
        node("Conv", ["s", "v"], ["y"], "behind"),
    ]
    weights = {"w": (4, 3, 3, 3), "b": (4,), "v": (2, 4, 1, 1), "sides": numbers(4, 8, 8)}
    network = from_onnx(file(*nodes, tensors=weights))
    assert isinstance(network.layers[2], Add)
    assert network.shapes[-1] == Shape(channels=2, height=8, width=8)


def test_a_normalisation_by_the_images_own_statistics_is_refused() -> None:
    statistics = dict.fromkeys(("scale", "shift", "mean", "var"), (4,))
    normalised = node(
        "BatchNormalization", ["c", "scale", "shift", "mean", "var"], ["y", "m", "v"], "bn", training_mode=1
    )
    with pytest.raises(InvalidNetwork, match="training_mode"):
        from_onnx(file(CONV, normalised, tensors={"w": (4, 3, 3, 3), "b": (4,)} | statistics))


def test_a_crop_is_refused_where_it_stands() -> None:
    nodes = [CONV, node("Pad", ["c", "sides"], ["y"], "crop")]
    sides = numbers(0, 0, -1, -1, 0, 0, -1, -1)
    with pytest.raises(InvalidNetwork, match=r"crop.*cropped"):
        from_onnx(file(*nodes, tensors={"w": (4, 3, 3, 3), "b": (4,), "sides": sides}))


def test_dimensions_are_bounded() -> None:
    nodes = [CONV, node("Unsqueeze", ["c", "axes"], ["y"], "u")]
    axes = np.arange(5, dtype=np.int64)
    with pytest.raises(InvalidNetwork, match="9 dimensions"):
        from_onnx(file(*nodes, tensors={"w": (4, 3, 3, 3), "b": (4,), "axes": axes}))


class Picked(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nonzero(x)


def test_sizes_that_depend_on_the_image_are_refused_by_name() -> None:
    with pytest.raises(InvalidNetwork, match="nonzero"):
        from_torch(Picked(), Shape(channels=1, height=4, width=4))
