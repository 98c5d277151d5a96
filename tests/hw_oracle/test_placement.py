from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.layers import Add, Conv2d, Layer, LayerList, Linear, Shape
from services.hw_oracle.mapping import map_network
from services.hw_oracle.placement import distances_hops, positions
from services.hw_oracle.types import ChipConfig, Placement

FIRST = {
    Placement.ROW_MAJOR: ["00", "01", "02", "10", "11", "12", "20", "21", "22"],
    Placement.SNAKE: ["00", "01", "02", "12", "11", "10", "20", "21", "22"],
    Placement.SHELL: ["00", "01", "11", "10", "20", "21", "22", "12", "02"],
    Placement.ZIGZAG: ["00", "01", "10", "20", "11", "02", "12", "21", "22"],
}


@pytest.mark.parametrize("placement", FIRST)
def test_a_three_by_three_grid_fills_in_order(placement: Placement) -> None:
    cells = positions(ChipConfig(grid_rows=3, grid_columns=3, placement=placement), 9)
    assert [f"{row}{column}" for row, column in cells.T] == FIRST[placement]


@pytest.mark.parametrize("placement", FIRST)
@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_every_order_visits_every_cell_once_and_begins_alike_on_each_count(
    placement: Placement, side: int
) -> None:
    chip = ChipConfig(grid_rows=side, grid_columns=side, placement=placement)
    cells = positions(chip, side * side)
    assert sorted(map(tuple, cells.T.tolist())) == sorted(itertools.product(range(side), repeat=2))
    for count in range(1, side * side):
        assert np.array_equal(positions(chip, count), cells[:, :count])


def test_zigzag_and_shell_only_step_to_neighbours_in_the_shell() -> None:
    cells = positions(ChipConfig(), 4096)
    steps = np.abs(np.diff(cells, axis=1)).sum(axis=0)
    assert steps.max() == 1  # the shells join end to end


@settings(max_examples=30)
@given(
    channels=st.lists(st.sampled_from([8, 40, 300, 700]), min_size=2, max_size=4),
    placement=st.sampled_from(list(FIRST)),
    residual=st.booleans(),
)
def test_distances_equal_a_search_over_all_cells(
    channels: list[int], placement: Placement, residual: bool
) -> None:
    chip = ChipConfig(placement=placement)
    layers: list[Layer] = [
        Conv2d(inputs=(i - 1,), out_channels=c, kernel_size=3, padding=1) for i, c in enumerate(channels)
    ]
    if residual:
        last = len(layers) - 1
        layers += [
            Conv2d(inputs=(last,), out_channels=channels[-1], kernel_size=1),
            Add(inputs=(last + 1, last)),
        ]
    layers.append(Linear(inputs=(len(layers) - 1,), out_features=600))
    network = LayerList(input_shape=Shape(channels=3, height=8, width=8), layers=tuple(layers))
    mapping = map_network(network, chip)
    cells = positions(chip, mapping.tiles).T.tolist()
    owned = [sorted(map(tuple, cells[m.first_tile : m.first_tile + m.tiles])) for m in mapping.layers]

    def far(a: tuple[int, int], others: list[tuple[int, int]]) -> float:
        return max((abs(a[0] - b[0]) + abs(a[1] - b[1]) for b in others), default=0)

    def home(a: tuple[int, int]) -> float:
        return abs(a[0] - 32) + a[1]

    for index, got in enumerate(distances_hops(network, mapping, chip)[:-1]):
        readers = [j for j, layer in enumerate(layers) if index in layer.inputs]
        alone = all(isinstance(layers[j], Add) for j in readers)
        targets = [b for j in readers for b in owned[j]]
        choices = [(far(a, owned[index]), home(a) if alone else far(a, targets)) for a in owned[index]]
        if not choices:  # an add, which has no tile
            choices = [(0.0, max(home(owned[j][0]) for j in readers))]
        assert got == min(choices, key=sum)


def test_without_placement_there_is_no_distance() -> None:
    layers = (Conv2d(inputs=(-1,), out_channels=512, kernel_size=3), Linear(inputs=(0,), out_features=10))
    network = LayerList(input_shape=Shape(channels=64, height=3, width=3), layers=layers)
    chip = ChipConfig(placement=Placement.NONE)
    assert distances_hops(network, map_network(network, chip), chip) == [(0, 0), (0, 0)]
    placed = distances_hops(network, map_network(network, ChipConfig()), ChipConfig())
    assert placed[0][0] > 0
    assert placed[0][1] > 0
    assert placed[1][1] == 0


def test_a_single_layer_is_never_placed() -> None:
    network = LayerList(
        input_shape=Shape(channels=64, height=3, width=3),
        layers=(Conv2d(inputs=(-1,), out_channels=512, kernel_size=3),),
    )
    mapping = map_network(network, ChipConfig())
    assert mapping.tiles > 1
    assert distances_hops(network, mapping, ChipConfig()) == [(0, 0)]
