from __future__ import annotations

import tomllib

import pytest
from hypothesis import given

from services.common.errors import InvalidChip
from services.hw_oracle.chip_toml import chip_from_toml, chip_to_toml
from services.hw_oracle.chips import PRESETS, load_chip
from services.hw_oracle.types import ChipConfig
from tests.hw_oracle.random_chips import chips


@given(chips())
def test_any_chip_is_written_and_read_exactly(chip: ChipConfig) -> None:
    assert chip_from_toml(chip_to_toml(chip)) == chip


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_written_and_read_exactly(preset: str) -> None:
    assert chip_from_toml(chip_to_toml(load_chip(preset))) == load_chip(preset)


def test_the_tables_follow_the_tree_and_none_is_spelled_derived() -> None:
    text = chip_to_toml(ChipConfig())
    tables = [line for line in text.splitlines() if line.startswith("[")]
    assert tables == [
        "[tile]",
        "[tile.pe]",
        "[tile.pe.crossbar]",
        "[tile.pe.crossbar.device]",
        "[tile.pe.dac]",
        "[tile.pe.adc]",
        "[tile.pooling]",
        "[buffer]",
        "[digital]",
    ]
    assert tomllib.loads(text)["buffer"]["input_size_kb"] == "derived"
    assert "power_w = 3.9e-06\n" in text


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    text = """
    clock_mhz = nan
    places = 3
    buffer = 4
    [tile]
    pes = "many"
    [tile.pe]
    differential = false
    digital_subtraction = true
    [tile.pe.crossbar]
    rows = 0
    [tile.pe.crossbar.device]
    kind = "rram"
    [tile.pooling]
    technology_nm = inf
    """
    with pytest.raises(InvalidChip) as caught:
        chip_from_toml(text)
    assert sorted(v.field for v in caught.value.violations) == [
        "chip.buffer",
        "chip.clock_mhz",
        "chip.places",
        "chip.tile.pe.crossbar.device.kind",
        "chip.tile.pe.crossbar.rows",
        "chip.tile.pe.digital_subtraction",
        "chip.tile.pes",
        "chip.tile.pooling.technology_nm",
    ]
