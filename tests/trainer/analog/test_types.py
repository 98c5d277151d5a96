from __future__ import annotations

import math
from dataclasses import is_dataclass
from typing import Any

import pytest

from services.common.convert import plans
from services.common.errors import InvalidRequest
from services.trainer.analog_types import AnalogConfig, AnalogReport, ChipAccuracy


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"rows": 0}, "analog.rows"),
        ({"rows": 2.0}, "analog.rows"),
        ({"rows_at_once": 0}, "analog.rows_at_once"),
        ({"dac_bits": 9}, "analog.dac_bits"),
        ({"cell_bits": True}, "analog.cell_bits"),
        ({"adc_bits": 0}, "analog.adc_bits"),
        ({"adc_bits": 16, "rows": 65_536, "rows_at_once": 1}, "analog.adc_bits"),
        ({"adc_bits": 1, "rows_at_once": 256}, "analog.adc_bits"),
        ({"adc_mode": "exact"}, "analog.adc_mode"),
        ({"activation_bits": 1}, "analog.activation_bits"),
        ({"weight_bits": 13}, "analog.weight_bits"),
        ({"on_off_ratio": 1.0}, "analog.on_off_ratio"),
        ({"on_off_ratio": math.nan}, "analog.on_off_ratio"),
        ({"variation_frac": -0.1}, "analog.variation_frac"),
        ({"variation_frac": math.nan}, "analog.variation_frac"),
        ({"stuck_off_frac": 1.5}, "analog.stuck_off_frac"),
        ({"stuck_off_frac": 0.6, "stuck_on_frac": 0.6}, "analog.stuck_on_frac"),
        ({"differential": 1}, "analog.differential"),
        ({"differential": False, "digital_subtraction": True}, "analog.digital_subtraction"),
    ],
)
def test_an_impossible_chip_is_refused_by_its_field(fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        AnalogConfig(**fields)
    assert [violation.field for violation in refused.value.violations] == [wrong]


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        AnalogConfig(rows=0, dac_bits=0, on_off_ratio=-1)
    assert len(refused.value.violations) == 3


def test_a_mode_may_be_given_by_its_name() -> None:
    assert AnalogConfig(adc_mode="fix") == AnalogConfig(adc_mode="fix")  # type: ignore[arg-type]
    assert AnalogConfig(adc_mode="fix").adc_mode.name == "FIX"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "cycles", "slices"),
    [
        ({}, 8, 8),
        ({"differential": False}, 8, 9),
        ({"dac_bits": 3, "cell_bits": 3}, 3, 3),
        ({"activation_bits": 2, "weight_bits": 2}, 1, 1),
    ],
)
def test_cycles_and_slices_are_as_many_as_magnitudes_need(
    fields: dict[str, Any], cycles: int, slices: int
) -> None:
    config = AnalogConfig(**fields)
    assert (config.cycles, config.slices) == (cycles, slices)


def test_the_lowest_level_leaks_as_the_ratio_says() -> None:
    config = AnalogConfig(cell_bits=2, on_off_ratio=4.0)
    assert (config.leak + config.top_level) / config.leak == pytest.approx(4)
    assert AnalogConfig(on_off_ratio=math.inf).leak == 0


def test_draws_have_a_mean_a_deviation_and_a_worst() -> None:
    accuracy = ChipAccuracy(draws_frac=(0.5, 0.7))
    assert accuracy.mean_frac == pytest.approx(0.6)
    assert accuracy.deviation_frac == pytest.approx(0.1)
    assert accuracy.worst_frac == 0.5


@pytest.mark.parametrize("cls", [AnalogConfig, AnalogReport])
def test_every_field_has_a_type_that_the_wire_knows(cls: Any) -> None:
    for plan in plans(cls):
        assert is_dataclass(plan.type) or issubclass(plan.type, int | float | bool | str), plan.name
