"""Grouped and depthwise convolutions on crossbars."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.layers import Conv2d, LayerList, Shape
from services.hw_oracle.cost import evaluate
from services.hw_oracle.mapping import LayerMapping, map_network
from services.hw_oracle.types import ChipConfig, CrossbarConfig, GroupedMapping, PeConfig, TileConfig

DEFAULT = ChipConfig()
FULL = ChipConfig(grouped_mapping=GroupedMapping.FULL)


def grouped(inputs: int, outputs: int, groups: int, kernel: int = 3) -> LayerList:
    layer = Conv2d(inputs=(-1,), out_channels=outputs, kernel_size=kernel, padding=1, groups=groups)
    return LayerList(input_shape=Shape(channels=inputs, height=4, width=4), layers=(layer,))


def mapped(network: LayerList, chip: ChipConfig = DEFAULT) -> LayerMapping:
    return map_network(network, replace(chip, grid_rows=1024, grid_columns=1024)).layers[0]


@pytest.mark.parametrize(
    ("inputs", "outputs", "groups", "across", "down", "rows", "columns"),
    [
        (64, 64, 64, 3, 1, 252, 28),  # depthwise: 9 rows a group, 28 groups in 256 rows
        (64, 256, 64, 3, 1, 252, 112),  # four outputs a group
        (8, 512, 8, 2, 1, 36, 256),  # 64 columns a group: four fit in 256
        (112, 512, 2, 2, 2, 252, 256),  # 504 rows a group: split twice, each group apart
        (64, 64, 2, 1, 3, 252, 64),  # likewise would be four, but the full matrix takes three
        (56, 56, 2, 2, 1, 252, 28),  # one group fills the rows
        (6, 600, 2, 3, 1, 54, 256),  # 300 columns a group: two crossbars each, the full matrix takes three
    ],
)
def test_groups_share_the_diagonal_as_the_rule_says(
    inputs: int, outputs: int, groups: int, across: int, down: int, rows: int, columns: int
) -> None:
    got = mapped(grouped(inputs, outputs, groups))
    assert (got.pes_across, got.pes_down, got.pes) == (8 * across, down, 8 * across * down)
    assert (got.rows_used, got.columns_used) == (rows, columns)


sizes = st.tuples(st.integers(1, 40), st.integers(1, 64), st.integers(1, 16), st.sampled_from([1, 3, 5]))
crossbars = st.builds(
    lambda rows, columns, groups: TileConfig(
        pe=PeConfig(crossbar=CrossbarConfig(rows=rows, columns=columns, subarray_rows=rows), groups=groups)
    ),
    st.integers(25, 512),
    st.integers(8, 512),
    st.integers(1, 9),
)


@settings(max_examples=200, deadline=None)
@given(size=sizes, tile=crossbars)
def test_packed_never_takes_more_pes_than_full_and_holds_every_weight(
    size: tuple[int, int, int, int], tile: TileConfig
) -> None:
    of_inputs, of_outputs, groups, kernel = size
    network = grouped(groups * of_inputs, groups * of_outputs, groups, kernel)
    chip = ChipConfig(tile=tile)
    packed, full = mapped(network, chip), mapped(network, replace(FULL, tile=tile))
    array = tile.pe.crossbar
    assert packed.pes <= full.pes
    assert packed.pes == packed.pes_across * packed.pes_down
    assert packed.rows_used <= array.rows
    assert packed.columns_used <= array.columns
    weights = groups * of_inputs * of_outputs * kernel**2
    slices = -(-8 // tile.pe.groups)
    assert packed.pes // slices * packed.rows_used * packed.columns_used >= weights
    # the rule, group after group
    rows, columns = of_inputs * kernel**2, of_outputs
    if rows <= array.rows and columns <= array.columns:
        together = min(groups, array.rows // rows, array.columns // columns)
        alone, used = slices * -(-groups // together), (together * rows, together * columns)
    else:
        one = mapped(grouped(of_inputs, of_outputs, 1, kernel), chip)
        alone, used = groups * one.pes, (one.rows_used, one.columns_used)
    assert packed.pes == min(alone, full.pes)
    if alone <= full.pes:
        assert (packed.rows_used, packed.columns_used) == used


@settings(max_examples=30, deadline=None)
@given(size=sizes, groups=st.sampled_from([2, 3, 8]))
def test_full_is_the_convolution_without_groups(size: tuple[int, int, int, int], groups: int) -> None:
    network = grouped(groups * size[0], groups * size[1], groups, size[3])
    plain = replace(network, layers=(replace(network.layers[0], groups=1),))  # type: ignore[call-arg]
    full, ungrouped = evaluate(network, FULL), evaluate(plain, FULL)
    assert full == ungrouped
    packed = evaluate(plain, ChipConfig())
    assert asdict(packed) | {"chip_hash": ""} == asdict(full) | {"chip_hash": ""}


def test_depthwise_costs_less_of_everything_than_a_full_convolution() -> None:
    packed, full = (evaluate(grouped(512, 512, 512), chip) for chip in (ChipConfig(), FULL))
    for name in ("latency_ns", "energy_nj", "area_um2", "power_w", "tiles", "crossbars"):
        assert getattr(packed, name) < getattr(full, name), name
