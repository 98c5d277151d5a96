from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from services.trainer.analog.cells import chip_generator, write_cells
from services.trainer.analog.folded import effective_weights
from services.trainer.analog.slices import channel_splits, levels, polarities
from services.trainer.analog_types import AnalogConfig
from tests.trainer.analog.networks import IDEAL

RNG = np.random.default_rng(0)
WEIGHTS = RNG.integers(-255, 256, (7, 30, 3, 3)).astype(np.int16)
LAYOUTS: list[dict[str, Any]] = [
    {},
    {"cell_bits": 3},
    {"differential": False},
    {"differential": False, "cell_bits": 2},
    {"digital_subtraction": True, "rows": 9},
    {"on_off_ratio": 5.0},
    {"on_off_ratio": 5.0, "differential": False},
]


def held(config: AnalogConfig, draw: int = 0, weights: Any = WEIGHTS) -> np.ndarray[Any, Any]:
    return write_cells(weights, config, chip_generator(1, draw, 0)).values


@pytest.mark.parametrize("layout", LAYOUTS)
def test_effective_weights_of_an_ideal_chip_are_the_integers(layout: dict[str, Any]) -> None:
    config = AnalogConfig(**IDEAL | layout)
    effective = effective_weights(write_cells(WEIGHTS, config, chip_generator(0, 0, 0)), None, config)
    torch.testing.assert_close(effective, torch.from_numpy(WEIGHTS).double(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_levels_are_the_digits_of_what_is_held(layout: dict[str, Any]) -> None:
    config = AnalogConfig(**layout)
    arrays = polarities(WEIGHTS, config)
    signs = [1, -1] if config.differential else [1]
    assert arrays.min() >= 0
    total = -0 if config.differential else -(2 ** (config.weight_bits - 1))
    for sign, array in zip(signs, arrays, strict=True):
        cut = levels(array, config)
        assert cut.shape == (config.slices, *array.shape)
        assert (cut.min(), cut.max()) == (0, config.top_level)
        total = total + sign * sum(
            cut[j].astype(np.int64) << (j * config.cell_bits) for j in range(config.slices)
        )
    np.testing.assert_array_equal(total, WEIGHTS)


@pytest.mark.parametrize(
    ("weights", "rows", "wanted"),
    [
        ((1, 30, 3, 3), 256, [28, 2]),  # 28 windows of 9 rows fit in 256
        ((1, 56, 3, 3), 256, [28, 28]),
        ((1, 600, 1, 1), 256, [256, 256, 88]),
        ((1, 3, 5, 5), 25, [1, 1, 1]),
    ],
)
def test_rows_are_split_by_whole_channels(weights: tuple[int, ...], rows: int, wanted: list[int]) -> None:
    splits = channel_splits(np.zeros(weights, np.int16), AnalogConfig(rows=rows))
    assert [split.stop - split.start for split in splits] == wanted
    assert (splits[0].start, splits[-1].stop) == (0, weights[1])


def test_stuck_cells_are_as_many_as_the_chip_says_and_the_others_as_written() -> None:
    config = AnalogConfig(
        **IDEAL | {"stuck_off_frac": 0.03, "stuck_on_frac": 0.05, "digital_subtraction": True}
    )
    weights = RNG.integers(-255, 256, (40, 64, 3, 3)).astype(np.int16)
    got = held(config, weights=weights)
    wanted = np.stack([levels(array, config) for array in polarities(weights, config)])
    off, on = (np.mean(got[wanted == 1] == 0), np.mean(got[wanted == 0] == 1))
    for share, rate, cells in ((off, 0.03, (wanted == 1).sum()), (on, 0.05, (wanted == 0).sum())):
        assert abs(share - rate) < 5 * math.sqrt(rate * (1 - rate) / cells)
    assert set(np.unique(got)) == {0, 1}


def test_a_conductance_varies_with_its_own_mean_and_deviation() -> None:
    config = AnalogConfig(
        **IDEAL | {"variation_frac": 0.1, "on_off_ratio": 11.0, "digital_subtraction": True, "cell_bits": 2}
    )
    weights = RNG.integers(-255, 256, (40, 64, 3, 3)).astype(np.int16)
    cells = write_cells(weights, config, chip_generator(0, 0, 0))
    wanted = np.stack([levels(array, config) for array in polarities(weights, config)])
    for level in range(4):
        conductances = cells.values[wanted == level] / 2.0**cells.grid_bits
        mean = level + 0.3  # leak: top level 3 / (11 - 1)
        assert conductances.mean() == pytest.approx(mean, abs=5 * 0.1 * mean / math.sqrt(conductances.size))
        assert conductances.std() == pytest.approx(0.1 * mean, rel=0.02)


def test_no_conductance_is_below_0() -> None:
    config = AnalogConfig(**IDEAL | {"variation_frac": 1.0, "digital_subtraction": True})
    assert held(config).min() == 0


def test_chips_repeat_by_seed_and_differ_by_draw_layer_and_seed() -> None:
    config = AnalogConfig()

    def chip(*key: int) -> bytes:
        return write_cells(WEIGHTS, config, chip_generator(*key)).values.tobytes()

    assert chip(0, 0, 0) == chip(0, 0, 0)
    assert len({chip(0, 0, 0), chip(1, 0, 0), chip(0, 1, 0), chip(0, 0, 1)}) == 4
