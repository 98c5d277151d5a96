"""Every combination of the values of some fields."""

from __future__ import annotations

import pytest

from services.common.errors import ChipTooSmall, InvalidChip, InvalidRequest
from services.common.layers import Conv2d, LayerList, Shape
from services.hw_oracle.cost import evaluate
from services.hw_oracle.derived import TOTALS, derive, totals
from services.hw_oracle.sweep import (
    MAX_OUTCOMES,
    combinations,
    count_outcomes,
    read_settings,
    subarrays_follow,
    sweep,
)
from services.hw_oracle.types import ChipConfig

CHIP = ChipConfig()
NETWORK = LayerList(
    input_shape=Shape(channels=3, height=6, width=6),
    layers=(Conv2d(inputs=(-1,), out_channels=40, kernel_size=3),),
)


def test_the_last_field_turns_fastest_and_every_combination_is_a_chip_of_its_own():
    settings = read_settings(["crossbar.columns=64,128", " clock_mhz = 100 , 200 , 200 "])
    found = list(combinations(CHIP, settings))
    assert [c.values for c in found] == [(64, 100.0), (64, 200.0), (128, 100.0), (128, 200.0)]
    chips = [c.chip for c in found]
    assert [(c.tile.pe.crossbar.columns, c.clock_mhz) for c in chips if isinstance(c, ChipConfig)] == [
        c.values for c in found
    ]


def test_a_crossbar_that_is_not_divided_stays_so_when_its_rows_are_set():
    settings = read_settings(["crossbar.rows=100,512"])
    assert subarrays_follow(CHIP, settings)
    arrays = [c.chip.tile.pe.crossbar for c in combinations(CHIP, settings) if isinstance(c.chip, ChipConfig)]
    assert [(a.rows, a.subarray_rows) for a in arrays] == [(100, 100), (512, 512)]


def test_a_divided_crossbar_keeps_its_subarrays_and_rows_they_do_not_divide_make_no_chip():
    (base,) = (c.chip for c in combinations(CHIP, read_settings(["crossbar.subarray_rows=64"])))
    assert isinstance(base, ChipConfig)
    settings = read_settings(["crossbar.rows=100,128"])
    assert not subarrays_follow(base, settings)
    bad, good = (c.chip for c in combinations(base, settings))
    assert isinstance(bad, InvalidChip)
    assert isinstance(good, ChipConfig)
    assert good.tile.pe.crossbar.subarrays == 2


def test_both_fields_set_are_both_taken():
    settings = read_settings(["crossbar.rows=128", "crossbar.subarray_rows=32"])
    assert not subarrays_follow(CHIP, settings)
    (only,) = combinations(CHIP, settings)
    assert isinstance(only.chip, ChipConfig)
    assert only.chip.tile.pe.crossbar.subarrays == 4


def test_outcomes_have_every_total_of_the_report_and_failures_their_reason():
    settings = read_settings(["crossbar.columns=0,256", "grid_rows=1,64", "grid_columns=1"])
    found = list(sweep([("n", NETWORK)], CHIP, settings, evaluate))
    errors = [type(outcome.error) for outcome in found]
    assert errors == [InvalidChip, InvalidChip, ChipTooSmall, type(None)]
    chip = list(combinations(CHIP, settings))[-1].chip
    assert isinstance(chip, ChipConfig)
    report = evaluate(NETWORK, chip)
    assert found[-1].totals == totals(report, derive(NETWORK, chip, report))
    assert tuple(found[-1].totals) == TOTALS
    assert found[0].totals == {}


@pytest.mark.parametrize(
    "texts",
    [["rows"], ["rows="], ["=1"], ["rows=1,,2"], ["rows=128", "crossbar.rows=256"], ["rows=a"], ["colums=1"]],
)
def test_what_is_no_setting_is_refused(texts: list[str]):
    with pytest.raises(InvalidRequest):
        read_settings(texts)


def test_a_sweep_has_a_largest_size_over_all_its_networks():
    settings = read_settings([f"clock_mhz={','.join(str(1 + n) for n in range(1000))}", "tile.pes=1,2"])
    assert count_outcomes(settings, 50) == MAX_OUTCOMES
    with pytest.raises(InvalidRequest, match=r"102,000 combinations.*at most 100,000"):
        count_outcomes(settings, 51)
