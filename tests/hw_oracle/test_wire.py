"""The compiled reader of messages reads what protobuf wrote, as the common converter reads it."""

from __future__ import annotations

import numpy as np
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.convert import from_pb, to_pb
from services.common.errors import ImcnasError
from services.common.layers import LayerList
from services.common.pb.imcnas.v1 import network_pb2 as pb
from services.hw_oracle.compiled.pack import Packed, pack, pack_chip
from services.hw_oracle.compiled.records import KINDS, OK
from services.hw_oracle.compiled.run import run
from services.hw_oracle.compiled.wire import FIELDS, decode
from services.hw_oracle.types import ChipConfig
from tests.hw_oracle.networks import networks

CHIP = pack_chip(ChipConfig(grid_rows=128, grid_columns=128))
NAMES = ("images", "starts", "layers", "input_starts", "inputs")


def assert_equal(made: Packed, wanted: Packed) -> None:
    for name in NAMES:
        assert np.array_equal(getattr(made, name), getattr(wanted, name)), name


def test_the_field_numbers_are_the_contract_s() -> None:
    kinds = pb.Layer.DESCRIPTOR.oneofs_by_name["kind"].fields
    assert [(f.number, f.name) for f in kinds] == list(enumerate(KINDS, 1))
    for field in kinds:
        assert [f.name for f in field.message_type.fields] == ["inputs", *FIELDS[field.name]]
        assert [f.number for f in field.message_type.fields] == list(range(1, len(FIELDS[field.name]) + 2))
    for message in (pb.Shape, pb.Bits):
        assert [f.number for f in message.DESCRIPTOR.fields] == [1, 2, 3]
    assert [(f.number, f.name) for f in pb.LayerList.DESCRIPTOR.fields] == [(1, "input_shape"), (2, "layers")]


@settings(max_examples=200)
@given(st.lists(networks(), max_size=4))
def test_networks_arrive_as_they_were_packed(drawn: list[LayerList]) -> None:
    bodies = [to_pb(network, pb.LayerList).SerializeToString() for network in drawn]
    assert_equal(decode(bodies, sum(len(n.layers) for n in drawn)), pack(drawn))


def test_what_is_not_set_has_its_default_and_a_zero_that_is_set_stays() -> None:
    body = pb.LayerList(
        input_shape=pb.Shape(channels=1, height=4, width=4),
        layers=[
            pb.Layer(conv2d=pb.Conv2d(inputs=[-1], out_channels=2, kernel_size=1)),
            pb.Layer(conv2d=pb.Conv2d(inputs=[0], out_channels=2, kernel_size=1, stride=0, groups=0)),
            pb.Layer(linear=pb.Linear(inputs=[1], out_features=2, bits=pb.Bits(weight_bits=0))),
            pb.Layer(pool2d=pb.Pool2d(inputs=[0], kernel_size=2, stride=2, bits=pb.Bits(output_bits=4))),
        ],
    ).SerializeToString()
    layers = decode([body], 4).layers
    assert layers["stride"].tolist() == [1, 0, 0, 2]
    assert layers["groups"].tolist() == [1, 0, 0, 0]
    assert layers["input_bits"].tolist() == [9, 9, 9, 9]
    assert layers["weight_bits"].tolist() == [9, 9, 0, 9]
    assert layers["output_bits"].tolist() == [9, 9, 9, 4]


@settings(max_examples=500)
@given(networks(max_layers=4), st.data())
def test_damaged_bytes_cost_what_protobuf_makes_of_them_or_nothing(
    network: LayerList, data: st.DataObject
) -> None:
    body = bytearray(to_pb(network, pb.LayerList).SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                body[place] = data.draw(st.integers(0, 255))
            case 1:
                del body[place:]
            case _:
                body[place:place] = data.draw(st.binary(max_size=4))
        if not body:
            return
    try:
        message = pb.LayerList.FromString(bytes(body))
    except DecodeError:
        return
    packed = decode([message.SerializeToString()], len(message.layers))
    if run(packed, CHIP)["status"][0] != OK:
        return
    try:
        wanted = from_pb(message, LayerList)
    except ImcnasError:
        wanted = None
    assert wanted is not None
    assert_equal(packed, pack([wanted]))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_within_their_bounds(body: bytes) -> None:
    packed = decode([body, b"", body], 100)
    assert len(run(packed, CHIP)) == 3


def test_more_layers_than_there_is_room_for_are_no_network() -> None:
    layer = pb.Layer(linear=pb.Linear(inputs=[-1], out_features=2))
    body = pb.LayerList(input_shape=pb.Shape(channels=1, height=1, width=1), layers=[layer] * 5)
    assert decode([body.SerializeToString()], 4).images.tolist() == [[0, 0, 0]]
