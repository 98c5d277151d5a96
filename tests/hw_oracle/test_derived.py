from __future__ import annotations

from dataclasses import replace
from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.layers import Add, Conv2d, LayerList, Linear, Shape, macs
from services.hw_oracle.cost import evaluate
from services.hw_oracle.derived import derive
from services.hw_oracle.latency import layer_time
from services.hw_oracle.mapping import map_network
from services.hw_oracle.types import ChipConfig, GroupedMapping, PeConfig, Pipeline, TileConfig
from tests.hw_oracle.networks import distances_hops, networks

VECTOR = Shape(channels=256, height=1, width=1)


def test_a_full_crossbar_by_hand() -> None:
    """256 -> 256 on the default chip: eight pairs of full crossbars, one layer, one point."""
    network = LayerList(input_shape=VECTOR, layers=(Linear(inputs=(-1,), out_features=256),))
    report = evaluate(network)
    figures = derive(network, ChipConfig(), report)
    operations = 2 * 256 * 256
    assert (figures.utilization_frac, figures.bottleneck_layer) == (1.0, 0)
    assert figures.throughput_ips == pytest.approx(1e9 / report.latency_ns)
    assert figures.tops == pytest.approx(operations * 1e9 / report.latency_ns / 1e12)
    assert figures.tops_per_w == pytest.approx(operations / (report.energy_nj * 1e-9) / 1e12)
    assert figures.tops_per_mm2 == pytest.approx(figures.tops / (report.area_um2 * 1e-6))
    assert figures.average_power_w == report.average_power_w


@pytest.mark.parametrize(
    ("pe", "share"),
    [
        (PeConfig(), 1.0),  # nine bits in eight pairs: the pair holds the sign
        (PeConfig(differential=False), 1.0),  # nine single crossbars
        (PeConfig(groups=3), 8 / 9),  # eight slices in three PEs of three
    ],
)
def test_utilization_counts_bits_of_weights_among_cells(pe: PeConfig, share: float) -> None:
    network = LayerList(input_shape=VECTOR, layers=(Linear(inputs=(-1,), out_features=128),))
    chip = ChipConfig(tile=TileConfig(pe=pe))
    figures = derive(network, chip, evaluate(network, chip))
    assert figures.utilization_frac == pytest.approx(share / 2)


def test_zeros_between_groups_hold_no_weights() -> None:
    layer = Conv2d(inputs=(-1,), out_channels=16, kernel_size=1, groups=16)
    network = LayerList(input_shape=Shape(channels=16, height=2, width=2), layers=(layer,))
    for mapping in GroupedMapping:
        chip = ChipConfig(grouped_mapping=mapping)
        assert derive(network, chip, evaluate(network, chip)).utilization_frac == 16 / 65536


def test_the_slowest_layer_sets_the_pace_of_the_pipeline_and_the_latency_that_of_none() -> None:
    layers = (
        Conv2d(inputs=(-1,), out_channels=8, kernel_size=1),
        Conv2d(inputs=(0,), out_channels=300, kernel_size=3, padding=1),
        Conv2d(inputs=(1,), out_channels=8, kernel_size=1),
    )
    network = LayerList(input_shape=Shape(channels=3, height=6, width=6), layers=layers)
    for pipeline in Pipeline:
        chip = ChipConfig(pipeline=pipeline)
        report = evaluate(network, chip)
        figures = derive(network, chip, report)
        assert figures.bottleneck_layer == 1
        if pipeline is Pipeline.NONE:
            assert figures.throughput_ips == 1e9 / report.latency_ns
        else:
            assert figures.throughput_ips > 1e9 / report.latency_ns


def test_a_network_without_weights_does_no_operations() -> None:
    network = LayerList(input_shape=VECTOR, layers=(Add(inputs=(-1, -1)),))
    figures = derive(network, ChipConfig(), evaluate(network))
    assert (figures.tops, figures.tops_per_w, figures.tops_per_mm2, figures.utilization_frac) == (0, 0, 0, 0)
    assert figures.throughput_ips > 0


@settings(max_examples=60, deadline=None)
@given(network=networks(), pipeline=st.sampled_from(Pipeline))
def test_the_pace_is_the_largest_sum_of_point_durations(network: LayerList, pipeline: Pipeline) -> None:
    chip = ChipConfig(pipeline=pipeline, grid_rows=100, grid_columns=100)
    report = evaluate(network, chip)
    figures = derive(network, chip, report)
    mapping = map_network(network, chip)
    busy_ns = [
        float(layer_time(network, i, mapping, chip, distance).durations_ns.sum())
        for i, distance in enumerate(distances_hops(network, mapping, chip))
    ]
    assert busy_ns[figures.bottleneck_layer] == pytest.approx(max(busy_ns), rel=1e-9)
    interval_ns = report.latency_ns if pipeline is Pipeline.NONE else max(busy_ns)
    assert figures.throughput_ips == pytest.approx(1e9 / interval_ns, rel=1e-9)
    assert figures.tops == pytest.approx(2 * macs(network) * figures.throughput_ips / 1e12)
    assert 0 <= figures.utilization_frac <= 1
    assert isfinite(figures.tops_per_w)
    assert derive(network, replace(chip), report) == figures
