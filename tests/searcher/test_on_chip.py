from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from services.common.errors import InvalidChip, InvalidRequest
from services.common.layers import Bits
from services.hw_oracle.chips import PRESETS as SHIPPED
from services.hw_oracle.chips import load_chip
from services.hw_oracle.types import ChipConfig
from services.searcher.on_chip import analog_of_chip
from services.trainer.analog_types import AdcMode, AnalogConfig

PRESETS = {
    "mnsim2_default": AnalogConfig(),
    "mnsim2_adc8": AnalogConfig(adc_bits=8, adc_mode=AdcMode.FIX),
    "mnsim2_groups8": AnalogConfig(),
    "isaac": AnalogConfig(rows=128, adc_bits=8, adc_mode=AdcMode.FIX, differential=False),
    "puma": AnalogConfig(rows=128, adc_bits=8, adc_mode=AdcMode.FIX, differential=False),
    "mnsim2_digital_sram": AnalogConfig(
        rows_at_once=256, adc_mode=AdcMode.IDEAL, differential=False, on_off_ratio=math.inf,
        variation_frac=0.0, stuck_off_frac=0.0, stuck_on_frac=0.0,
    ),
}  # fmt: skip


def changed(**pe: Any) -> ChipConfig:
    chip = ChipConfig()
    return replace(chip, tile=replace(chip.tile, pe=replace(chip.tile.pe, **pe)))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_its_analog_configuration(name: str) -> None:
    assert analog_of_chip(load_chip(name)) == PRESETS[name]


def test_every_preset_is_tested() -> None:
    assert set(PRESETS) == set(SHIPPED)


def test_bits_of_the_layers_are_those_of_weights_and_activations() -> None:
    config = analog_of_chip(ChipConfig(), Bits(input_bits=6, weight_bits=4, output_bits=8))
    assert (config.activation_bits, config.weight_bits) == (6, 4)


def test_a_subarray_sums_its_own_rows() -> None:
    crossbar = replace(ChipConfig().tile.pe.crossbar, subarray_rows=64)
    config = analog_of_chip(changed(crossbar=crossbar, dacs=128))
    assert (config.rows, config.rows_at_once) == (64, 64)


def test_a_pair_may_be_subtracted_digitally() -> None:
    assert analog_of_chip(changed(digital_subtraction=True)) == AnalogConfig(digital_subtraction=True)


@pytest.mark.parametrize(("bits", "mode"), [(7, AdcMode.SCALE), (8, AdcMode.FIX)])
def test_the_full_scale_is_fixed_where_all_sums_are_told_apart(bits: int, mode: AdcMode) -> None:
    # 256 rows, 128 at once: 8 bits and one more, of which one is the sign, have steps of 1.
    config = analog_of_chip(changed(adc=replace(ChipConfig().tile.pe.adc, bits=bits)))
    assert config.adc_mode is mode


def test_cells_that_cannot_be_told_apart_are_refused() -> None:
    pe = ChipConfig().tile.pe
    device = replace(pe.crossbar.device, high_resistance_ohm=1e4)
    with pytest.raises(InvalidChip, match="high_resistance_ohm"):
        analog_of_chip(changed(crossbar=replace(pe.crossbar, device=device)))


def test_a_width_that_is_not_modelled_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="weight_bits"):
        analog_of_chip(ChipConfig(), Bits(weight_bits=16))
