"""A concat routes, and does nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from services.common.layers import (
    Add,
    Bits,
    Concat,
    Conv2d,
    Layer,
    LayerList,
    Linear,
    Multiply,
    Pool2d,
    Shape,
)
from services.hw_oracle.cost import evaluate
from services.hw_oracle.mapping import map_network
from services.hw_oracle.schedule import latency_ns, schedule
from services.hw_oracle.types import (
    AreaBreakdown,
    ChipConfig,
    EnergyBreakdown,
    LatencyBreakdown,
    Pipeline,
    PowerBreakdown,
)
from tests.hw_oracle.networks import networks


def net(*layers: Layer, channels: int = 3, side: int = 2) -> LayerList:
    return LayerList(input_shape=Shape(channels=channels, height=side, width=side), layers=layers)


def conv(source: int, channels: int = 4, bits: int = 9) -> Conv2d:
    return Conv2d(inputs=(source,), out_channels=channels, kernel_size=1, bits=Bits(output_bits=bits))


def test_two_readers_of_one_producer_are_joined_by_hand() -> None:
    """Producer, a slow and a fast reader of it, their concat, and what reads the concat: 1, 3, 1, 0, 2 ns."""
    layers = (conv(-1), conv(0), conv(0), Concat(inputs=(1, 2)), Concat(inputs=(3, 0)), conv(4))
    network = net(*layers)
    durations = [np.full(4, ns) for ns in (1.0, 3.0, 1.0, 0.0, 0.0, 2.0)]
    done = schedule(network, durations)
    assert done[1].finish_ns.tolist() == [4, 7, 10, 13]
    assert done[2].finish_ns.tolist() == [2, 3, 4, 5]
    for index in (3, 4):
        assert done[index].begin_ns.tolist() == done[index].finish_ns.tolist() == [4, 7, 10, 13]
    assert done[5].finish_ns.tolist() == [6, 9, 12, 15]
    # a concat in last place is the output; without a pipeline its reader waits for all of all parts
    assert latency_ns(net(*layers[:5]), schedule(net(*layers[:5]), durations[:5])) == 13
    alone = schedule(network, durations, Pipeline.NONE)
    assert alone[2].finish_ns.tolist() == [5, 6, 7, 8]
    assert alone[5].begin_ns.tolist() == [16, 18, 20, 22]


def test_a_concat_takes_nothing_of_the_chip() -> None:
    with_it = evaluate(net(conv(-1), conv(0), Concat(inputs=(0, 1, -1))))
    without = evaluate(net(conv(-1), conv(0)))
    joined = with_it.layers[2]
    assert (joined.tiles, joined.pes, joined.crossbars, joined.occupancy_frac) == (0, 0, 0, 0.0)
    assert (joined.latency, joined.area) == (LatencyBreakdown(), AreaBreakdown())
    assert (joined.power, joined.energy) == (PowerBreakdown(), EnergyBreakdown())
    for total in ("latency_ns", "area_um2", "power_w", "energy_nj", "tiles"):
        assert getattr(with_it, total) == getattr(without, total)


def test_what_it_joins_goes_straight_to_its_consumers() -> None:
    """Row-major, a tile a pooling: 0 and 1 are joined twice over for 4, and 1 is added to 2 besides."""
    pools = [Pool2d(inputs=(-1,), kernel_size=1, stride=1) for _ in range(3)]
    layers = (
        *pools,
        Concat(inputs=(0, 1)),
        Concat(inputs=(3, 2)),
        Pool2d(inputs=(4,), kernel_size=1, stride=1),
        Add(inputs=(1, 2)),
    )
    report = evaluate(net(*layers), ChipConfig(placement="row_major"))  # type: ignore[arg-type]
    assert [layer.first_tile for layer in report.layers] == [0, 1, 2, 3, 3, 3, 4]
    assert [layer.transfer_distance_hops for layer in report.layers] == [
        3,
        2,
        1,  # the accumulator, which is farther, is left out as MNSIM leaves it out beside other consumers
        0,
        0,
        32 + 3,  # nobody reads it: MNSIM's way to the accumulator
        0,
    ]


def test_what_a_last_concat_joins_leaves_the_chip_as_a_last_layer_does() -> None:
    layers = (conv(-1), conv(-1), conv(-1), Concat(inputs=(1, 2)), Concat(inputs=(3, 1)))
    hops = [layer.transfer_distance_hops for layer in evaluate(net(*layers)).layers]
    assert hops[0] > 0
    assert hops[1:] == [0, 0, 0, 0]


def test_its_values_have_the_bits_of_its_widest_part_and_the_channels_of_all() -> None:
    layers = (conv(-1, 4, bits=20), conv(-1, 6, bits=3), Concat(inputs=(1, 0)), Concat(inputs=(2, -1)))
    for kind in (Add, Multiply):
        network = net(*layers, kind(inputs=(3, 3)))
        mapping = map_network(network, ChipConfig())
        assert mapping.output_bits == (20, 3, 20, 20, 20)
        assert mapping.accumulator_adders == (13 if kind is Add else 0)
        report = evaluate(network)  # 2 inputs x 13 channels x 20 bits in 9 accesses at each of 4 points
        assert report.layers[4].latency.buffer_read_ns == 4 * 9 * 20


def test_a_concat_of_the_networks_input_is_there_at_once() -> None:
    report = evaluate(net(Concat(inputs=(-1, -1)), Linear(inputs=(0,), out_features=2)))
    assert (report.layers[0].finish_ns, report.layers[1].begin_ns) == (0, 0)
    assert report.layers[1].rows_used == 24


@pytest.mark.parametrize("depth", [12, 1500])
def test_concats_of_concats_cost_no_time_to_resolve(depth: int) -> None:
    layers: list[Layer] = [conv(-1, 1), conv(-1, 1)]
    layers += [Concat(inputs=(i + 1, 0)) for i in range(depth)]
    layers.append(Linear(inputs=(len(layers) - 1,), out_features=1))
    report = evaluate(net(*layers, side=1))
    assert report.layers[-1].rows_used == min(256, depth + 1)


@settings(max_examples=40, deadline=None)
@given(networks())
def test_every_part_reaches_it_before_it_is_there(network: LayerList) -> None:
    report = evaluate(network, ChipConfig(grid_rows=100, grid_columns=100))
    for index, layer in enumerate(network.layers):
        if isinstance(layer, Concat):
            ends = [report.layers[i].finish_ns for i in layer.inputs if i >= 0]
            assert report.layers[index].finish_ns == max(ends, default=0)
