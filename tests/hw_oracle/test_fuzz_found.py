"""What fuzzing found, each once: requests that crashed, hung, filled the memory or were answered wrongly."""

from __future__ import annotations

from services.common.pb.imcnas.v1 import network_pb2
from services.hw_oracle import cost
from services.hw_oracle.convert import bodies_of
from services.hw_oracle.types import ChipConfig, EnergyBreakdown

SHAPE = network_pb2.Shape(channels=1, height=8, width=8)


def test_bytes_in_a_number_s_place_are_no_zero() -> None:
    conv = network_pb2.Conv2d(inputs=[-1], out_channels=4, kernel_size=3, padding=1)
    empty_padding = b"\x2a\x00"  # field 5, of no bytes: what protobuf keeps as unknown
    layer = network_pb2.Layer(conv2d=network_pb2.Conv2d.FromString(conv.SerializeToString() + empty_padding))
    sound = network_pb2.LayerList(input_shape=SHAPE, layers=[network_pb2.Layer(conv2d=conv)])
    odd = network_pb2.LayerList(input_shape=SHAPE, layers=[layer])
    (wanted,) = cost.cost_messages(*bodies_of([sound]), ChipConfig())
    assert wanted is not None
    assert cost.cost_messages(*bodies_of([odd]), ChipConfig()) in ([None], [wanted])


def test_an_adder_that_takes_nearly_all_energy_costs_the_total_no_digits() -> None:
    assert EnergyBreakdown(adder_nj=1e12, dac_nj=0.1, adc_nj=0.2).total_nj == 0.1 + 0.2
