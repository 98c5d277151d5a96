"""Who holds the latest output up, and where layers merge."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings

from services.common.layers import NETWORK_INPUT, Conv2d, LayerList, Linear, Shape
from services.hw_oracle.cost import evaluate
from services.hw_oracle.placement import positions
from services.hw_oracle.schedule import latency_ns
from services.hw_oracle.types import ChipConfig, Placement
from services.hw_oracle.worked import awaited, critical_path, work_out
from tests.hw_oracle.networks import networks
from tests.hw_oracle.varied_chips import chips


@settings(max_examples=150)
@given(network=networks(), chip=chips())
def test_the_critical_path_fills_the_time_until_the_latest_output(network: LayerList, chip: ChipConfig):
    worked = work_out(network, chip)
    path = critical_path(worked)
    assert path[0].begin_ns == 0
    assert path[-1].end_ns == latency_ns(network, [*worked.done])
    assert path[-1].end_ns == pytest.approx(evaluate(network, chip).latency_ns, rel=1e-12)
    assert all(before.end_ns == after.begin_ns for before, after in pairwise(path))
    assert all(before.layer < after.layer for before, after in pairwise(path))
    for part in path:
        done = worked.done[part.layer]
        assert done.begin_ns[0] <= part.begin_ns < part.end_ns <= done.finish_ns[-1]


@settings(max_examples=100)
@given(network=networks(), chip=chips())
def test_a_layer_begins_when_the_point_that_it_awaits_is_there(network: LayerList, chip: ChipConfig):
    worked = work_out(network, chip)
    for index, done in enumerate(worked.done):
        read = awaited(worked, index, 0)
        if read is None:
            assert set(network.layers[index].inputs) == {NETWORK_INPUT}
        assert done.begin_ns[0] == (read.ready_ns if read else 0)


def test_the_path_of_two_layers_by_hand():
    """The second, a linear layer, waits for the last point of the first; nobody waits within a layer."""
    layers = (Conv2d(inputs=(-1,), out_channels=4, kernel_size=3), Linear(inputs=(0,), out_features=2))
    worked = work_out(
        LayerList(input_shape=Shape(channels=1, height=5, width=5), layers=layers), ChipConfig()
    )
    first, second = critical_path(worked)
    assert (first.layer, second.layer) == (0, 1)
    assert first.end_ns == pytest.approx(worked.times[0].durations_ns.sum())
    assert (read := awaited(worked, 1, 0)) is not None
    assert (read.layer, read.point) == (0, 8)


@settings(max_examples=100)
@given(network=networks(), chip=chips())
def test_a_layer_merges_in_one_of_its_own_tiles_as_far_from_the_others_as_reported(
    network: LayerList, chip: ChipConfig
):
    assume(chip.placement is not Placement.NONE and len(network.layers) > 1)
    worked = work_out(network, chip)
    cells = positions(chip, worked.mapping.tiles)
    for way, layer in zip(worked.ways, worked.mapping.layers, strict=True):
        assert (way.merge_cell is None) == (layer.tiles == 0)
        if way.merge_cell is not None:
            own = cells[:, layer.first_tile : layer.first_tile + layer.tiles]
            hops = np.abs(own - np.array(way.merge_cell)[:, None]).sum(axis=0)
            assert hops.min() == 0
            assert hops.max() == way.merge_hops
