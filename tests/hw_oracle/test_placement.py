from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.layers import Add, Concat, Conv2d, Layer, LayerList, Linear, Shape
from services.hw_oracle.mapping import map_network
from services.hw_oracle.placement import positions
from services.hw_oracle.types import ChipConfig, Placement
from tests.hw_oracle.networks import distances_hops

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


OBLONG = {
    Placement.SHELL: (["00", "01", "11", "10", "12", "02", "03", "13"], ["00", "01", "11", "10", "20", "21"]),
    Placement.ZIGZAG: (
        ["00", "01", "10", "11", "02", "03", "12", "13"],
        ["00", "01", "10", "20", "11", "21"],
    ),
}


@pytest.mark.parametrize("placement", OBLONG)
def test_an_oblong_grid_fills_in_the_order_of_a_square_without_what_lies_outside(
    placement: Placement,
) -> None:
    for (rows, columns), wanted in zip([(2, 4), (3, 2)], OBLONG[placement], strict=True):
        chip = ChipConfig(grid_rows=rows, grid_columns=columns, placement=placement)
        assert [f"{row}{column}" for row, column in positions(chip, rows * columns).T] == wanted
        square = positions(replace(chip, grid_rows=9, grid_columns=9), 81).T.tolist()
        inside = [f"{row}{column}" for row, column in square if row < rows and column < columns]
        assert inside == wanted


@pytest.mark.parametrize("placement", FIRST)
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (2, 2), (5, 5), (8, 8), (1, 7), (7, 1), (3, 8), (8, 5)]
)
def test_every_order_visits_every_cell_once_and_begins_alike_on_each_count(
    placement: Placement, rows: int, columns: int
) -> None:
    chip = ChipConfig(grid_rows=rows, grid_columns=columns, placement=placement)
    cells = positions(chip, rows * columns)
    assert sorted(map(tuple, cells.T.tolist())) == sorted(itertools.product(range(rows), range(columns)))
    for count in range(rows * columns):
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
    joined=st.booleans(),
    columns=st.sampled_from([64, 30, 200]),
)
def test_distances_equal_a_search_over_all_cells(
    channels: list[int], placement: Placement, residual: bool, joined: bool, columns: int
) -> None:
    chip = ChipConfig(placement=placement, grid_columns=columns)
    layers: list[Layer] = [
        Conv2d(inputs=(i - 1,), out_channels=c, kernel_size=3, padding=1) for i, c in enumerate(channels)
    ]
    if residual:
        last = len(layers) - 1
        layers += [
            Conv2d(inputs=(last,), out_channels=channels[-1], kernel_size=1),
            Add(inputs=(last + 1, last)),
        ]
    if joined:
        last = len(layers) - 1
        layers += [Concat(inputs=(last, -1, 0)), Concat(inputs=(1, last + 1)), Concat(inputs=(0, last + 2))]
    layers.append(Linear(inputs=(len(layers) - 1,), out_features=600))
    network = LayerList(input_shape=Shape(channels=3, height=4, width=4), layers=tuple(layers))
    mapping = map_network(network, chip)
    cells = positions(chip, mapping.tiles).T.tolist()
    owned = [sorted(map(tuple, cells[m.first_tile : m.first_tile + m.tiles])) for m in mapping.layers]

    def far(a: tuple[int, int], others: list[tuple[int, int]]) -> float:
        return max((abs(a[0] - b[0]) + abs(a[1] - b[1]) for b in others), default=0)

    def reading(index: int) -> list[int]:
        direct = [j for j, layer in enumerate(layers) if index in layer.inputs]
        through = [k for j in direct if isinstance(layers[j], Concat) for k in reading(j)]
        return [j for j in direct if not isinstance(layers[j], Concat)] + through

    def home(a: tuple[int, int]) -> float:
        return abs(a[0] - 32) + a[1]

    for index, got in enumerate(distances_hops(network, mapping, chip)[:-1]):
        if isinstance(layers[index], Concat):
            assert got == (0, 0)
            continue
        readers = reading(index)
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
