"""JSON of networks, and their keys."""

import json
from random import Random

import pytest

from services.common.candidate import candidate_layers
from services.common.errors import InvalidNetwork
from services.common.layers import Bits, Concat, Conv2d, LayerList, Multiply, Shape
from services.common.network_json import network_from_json, network_key, network_to_json
from services.common.space import load_space

IMAGE = Shape(channels=3, height=32, width=32)


def text_of(network: LayerList) -> str:
    return json.dumps(network_to_json(network))


def test_networks_of_the_paper_space_survive_json():
    rng, paper = Random(1), load_space("paper")
    for _ in range(50):
        network = candidate_layers(paper.sample(rng), IMAGE, 10)
        assert network_from_json(json.loads(text_of(network))) == network


def test_every_layer_kind_and_bit_width_survives_json():
    network = LayerList(
        input_shape=IMAGE,
        layers=(
            Conv2d(inputs=(-1,), out_channels=3, kernel_size=1, bits=Bits(input_bits=4)),
            Multiply(inputs=(0, -1)),
            Concat(inputs=(1, 0)),
        ),
    )
    assert network_from_json(json.loads(text_of(network))) == network


def test_the_key_changes_with_any_field():
    base = Conv2d(inputs=(-1,), out_channels=3, kernel_size=1)
    others = [
        Conv2d(inputs=(-1,), out_channels=4, kernel_size=1),
        Conv2d(inputs=(-1,), out_channels=3, kernel_size=1, bits=Bits(output_bits=8)),
        Conv2d(inputs=(-1,), out_channels=3, kernel_size=1, stride=2),
    ]
    keys = {network_key(LayerList(input_shape=IMAGE, layers=(x,))) for x in [base, *others]}
    assert len(keys) == 4
    assert all(len(k) == 64 for k in keys)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": 2}, "version"),
        ({"layers": 3}, "layers"),
        ({"layers": [7]}, "layers[0]"),
        ({"layers": [{"kind": "conv"}]}, "layers[0].kind"),
        ({"layers": [{"kind": "linear", "inputs": [-1]}]}, "layers[0].linear.out_features"),
        ({"layers": [{"kind": "linear", "inputs": -1, "out_features": 2}]}, "layers[0].linear.inputs"),
        (
            {"layers": [{"kind": "linear", "inputs": [-1], "out_features": 2, "bias": 1}]},
            "layers[0].linear.bias",
        ),
        (
            {"layers": [{"kind": "linear", "inputs": [-1], "out_features": "2"}]},
            "layers[0].linear.out_features",
        ),
        (
            {"layers": [{"kind": "pool2d", "inputs": [-1], "kernel_size": 2, "stride": 2, "mode": "min"}]},
            "layers[0].pool2d.mode",
        ),
        ({"input_shape": {"channels": 1, "height": 8}}, "input_shape.width"),
        ({"surprise": 1}, "network.surprise"),
    ],
)
def test_a_mistake_in_the_file_is_named_by_its_path(change: dict[str, object], field: str):
    good = {
        "version": 1,
        "input_shape": {"channels": 1, "height": 8, "width": 8},
        "layers": [{"kind": "linear", "inputs": [-1], "out_features": 2}],
    }
    assert network_from_json(good).shapes[0].channels == 2
    with pytest.raises(InvalidNetwork) as caught:
        network_from_json(good | change)
    assert field in [v.field for v in caught.value.violations]


@pytest.mark.parametrize("junk", [None, 3, [], "x", {}])
def test_what_is_no_network_is_refused(junk: object):
    with pytest.raises(InvalidNetwork):
        network_from_json(junk)
