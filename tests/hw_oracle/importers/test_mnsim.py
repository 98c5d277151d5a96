from __future__ import annotations

from typing import Any

import pytest

from services.common.errors import InvalidNetwork
from services.common.layers import Add, Bits, Conv2d, Linear, Multiply, Pool2d, Shape
from services.hw_oracle.importers import from_mnsim
from services.hw_oracle.importers.mnsim import MAX_ENTRIES

BITS = {"Inputbit": 9, "Weightbit": 8, "outputbit": 7}
CONV = BITS | {
    "type": "conv",
    "Inputchannel": 3,
    "Inputsize": [8, 6],
    "Kernelsize": 3,
    "Stride": 1,
    "Padding": 1,
    "Outputchannel": 4,
    "Outputsize": [8, 6],
}
AGAIN = CONV | {"Inputchannel": 4, "Inputindex": [-1]}
POOL = AGAIN | {"type": "pooling", "Kernelsize": 2, "Stride": 2, "Padding": 0, "Outputsize": [4, 3]}
FC = BITS | {"type": "fc", "Infeature": 48, "Outfeature": 10}
SUM = BITS | {"type": "element_sum", "Inputindex": [-1, -2]}


def test_every_type_becomes_its_layer_and_relative_indices_absolute_ones() -> None:
    product = SUM | {"type": "element_multiply", "Inputindex": [-1, -3]}
    network = from_mnsim([CONV, AGAIN, SUM, product, POOL, FC])
    bits = Bits(input_bits=9, weight_bits=8, output_bits=7)
    assert network.input_shape == Shape(channels=3, height=8, width=6)
    assert network.layers == (
        Conv2d(inputs=(-1,), out_channels=4, kernel_size=3, padding=1, bits=bits),
        Conv2d(inputs=(0,), out_channels=4, kernel_size=3, padding=1, bits=bits),
        Add(inputs=(1, 0), bits=bits),
        Multiply(inputs=(2, 0), bits=bits),
        Pool2d(inputs=(3,), kernel_size=2, stride=2, bits=bits),
        Linear(inputs=(4,), out_features=10, bits=bits),
    )


def test_a_linear_layer_may_come_first() -> None:
    assert from_mnsim([FC]).input_shape == Shape(channels=48, height=1, width=1)


def test_depthwise_becomes_groups() -> None:
    layer = from_mnsim([CONV | {"Depthwise": "separable", "Outputchannel": 3}]).layers[0]
    assert isinstance(layer, Conv2d)
    assert layer.groups == 3


def test_mnsims_nested_lists_are_read_as_the_dictionaries_in_them() -> None:
    weights = [[0.5]]
    nested = [[[layer, weights]] for layer in (CONV, AGAIN, SUM)]
    assert from_mnsim(nested) == from_mnsim([CONV, AGAIN, SUM])
    assert from_mnsim([((layer,),) for layer in (CONV, AGAIN, SUM)]) == from_mnsim([CONV, AGAIN, SUM])


def test_entries_that_cost_nothing_are_dropped_and_indices_lead_over_them() -> None:
    # A residual block as MNSIM's front end has it before it drops anything: the skip starts at the relu.
    relu, norm = {"type": "relu"}, {"type": "bn"}
    block = [CONV, norm, relu, AGAIN, norm, SUM | {"Inputindex": [-1, -3]}, relu, {"type": "view"}]
    block.append(FC | {"Infeature": 192})
    network = from_mnsim(block)
    assert [layer.inputs for layer in network.layers] == [(-1,), (0,), (1, 0), (2,)]
    assert from_mnsim([norm, CONV]).layers == from_mnsim([CONV]).layers


def test_keys_that_mnsims_hardware_models_do_not_read_are_passed_over() -> None:
    added = {"Layerindex": 7, "Outputindex": [], "row_split_num": 1, "weight_bit_split_part": 8}
    assert from_mnsim([CONV | added, {"type": "bn", "features": 4}]) == from_mnsim([CONV])


def test_a_list_longer_than_any_network_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidNetwork, match=f"layers: got '{MAX_ENTRIES + 1} of them', wanted at most"):
        from_mnsim([None] * (MAX_ENTRIES + 1))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], r"layers: got \[\], wanted a list of one dictionary a layer"),
        ([CONV, 2], r"layers\[1\]: got 2, wanted a list of one dictionary a layer"),
        ([[[[CONV]]]], "wanted a list of one dictionary a layer"),
        (None, "wanted a list of one dictionary a layer"),
        ([CONV, {"type": "concat"} | BITS], r"layers\[1\].type: got 'concat', wanted one of conv, fc"),
        ([{"type": "relu"}, CONV | {"Kernelsize": 99}], r"layers\[1\].conv2d.kernel_size: got 99"),
        ([CONV, {"type": "relu", "Inputindex": [-1, -2]}, FC], r"layers\[1\].Inputindex: got \[-1, -2\]"),
        ([CONV, SUM | {"Inputindex": []}], r"layers\[1\].add.inputs: got '0 inputs'"),
        ([{"type": "relu"}], r"layers\[0\].Inputsize: got None"),
        ([{"type": "conv"}], r"layers\[0\].Inputsize: got None, wanted a list of two whole numbers"),
        ([CONV | {"Kernelsize": "3"}], r"layers\[0\].Kernelsize: got '3', wanted a whole number"),
        (
            [CONV, AGAIN | {"Inputindex": [1]}],
            r"layers\[1\].Inputindex: got \[1\], wanted a list of negative",
        ),
        ([CONV, AGAIN | {"Inputindex": [-3]}], "wanted numbers from -2"),
        ([CONV | {"Outputsize": [9, 9]}], r"layers\[0\].Outputsize: got \[9, 9\], wanted \[8, 6\]"),
        ([CONV, AGAIN | {"Inputchannel": 5}], r"layers\[1\].Inputchannel: got 5, wanted 4"),
        (
            [CONV, AGAIN | {"Paddding": 2}],
            r"layers\[1\].Paddding: unknown key, .*did you mean Padding\?",
        ),
        ([CONV | {"Depthwise": True}], r"layers\[0\].Depthwise: got True, wanted one of normal, separable"),
        (
            [CONV, {"type": "relu", "input_index": [-1]}],
            r"layers\[1\].input_index: unknown key, .*Inputindex",
        ),
        ([CONV, FC], r"layers\[1\].Infeature: got 48, wanted 192"),
    ],
)
def test_a_wrong_list_is_refused_by_layer_and_field(layers: Any, message: str) -> None:
    with pytest.raises(InvalidNetwork, match=message):
        from_mnsim(layers)
