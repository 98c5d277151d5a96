from __future__ import annotations

from configparser import ConfigParser
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from services.common.errors import InvalidChip
from services.hw_oracle.chips import PRESETS, load_chip
from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES
from services.hw_oracle.simconfig import chip_from_simconfig, read_simconfig
from services.hw_oracle.simconfig_write import beyond_simconfig, simconfig_from_chip
from services.hw_oracle.types import (
    AdcConfig,
    AdcConversion,
    BufferConfig,
    ChipConfig,
    CrossbarConfig,
    DacConfig,
    DeviceConfig,
    DeviceKind,
    DigitalConfig,
    GroupedMapping,
    PeConfig,
    PimType,
    Pipeline,
    Placement,
    PoolingConfig,
    TileConfig,
)
from tests.hw_oracle.random_chips import chips


def keys_of(text: str) -> dict[str, dict[str, str]]:
    parser = ConfigParser()
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


def with_pe(**changes: Any) -> ChipConfig:
    return ChipConfig(tile=TileConfig(pe=PeConfig(**changes)))


def interface(chip: ChipConfig) -> dict[str, str]:
    return keys_of(simconfig_from_chip(chip))["Interface level"]


@given(chips(whole=True))
def test_a_chip_that_mnsim_can_have_is_written_and_read_exactly(chip: ChipConfig) -> None:
    assert chip_from_simconfig(simconfig_from_chip(chip)) == chip


def test_every_golden_configuration_is_written_and_read_exactly(golden_configs: dict[str, str]) -> None:
    for name, text in golden_configs.items():
        if name != "dacnum0.ini":  # MNSIM refuses it, too
            chip = chip_from_simconfig(text)
            again = simconfig_from_chip(chip)
            assert chip_from_simconfig(again) == chip, name
            assert simconfig_from_chip(chip_from_simconfig(again)) == again, name


def test_the_default_chip_gives_mnsims_own_file_key_for_key(golden_configs: dict[str, str]) -> None:
    written, own = keys_of(simconfig_from_chip(ChipConfig())), keys_of(golden_configs["default.ini"])
    assert {section: list(keys) for section, keys in written.items()} == {s: list(k) for s, k in own.items()}
    assert own["Device level"].pop("device_resistance") == "1e6, 1e4"
    assert written["Device level"].pop("device_resistance") == "1000000,10000"
    assert written == own


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_survives_mnsims_form(preset: str) -> None:
    chip = load_chip(preset)
    assert chip_from_simconfig(simconfig_from_chip(chip)) == chip


@pytest.mark.parametrize("choice", ADC_CHOICES)
def test_an_adc_of_mnsims_table_is_written_as_its_choice(choice: int) -> None:
    keys = interface(with_pe(adc=ADC_CHOICES[choice]))
    assert ADC_CHOICES[int(keys["adc_choice"])] == ADC_CHOICES[choice]
    assert (keys["adc_area"], keys["logic_op"]) == ("0", "-1")


@pytest.mark.parametrize("choice", DAC_CHOICES)
def test_a_dac_of_mnsims_table_is_written_as_its_choice(choice: int) -> None:
    keys = interface(with_pe(dac=DAC_CHOICES[choice]))
    assert DAC_CHOICES[int(keys["dac_choice"])] == DAC_CHOICES[choice]
    assert keys["dac_area"] == "0"


def test_a_gate_beside_a_listed_adc_is_a_logic_op() -> None:
    keys = interface(with_pe(adc=replace(ADC_CHOICES[4], area_um2=580 + 19.2 * 0.18)))
    assert (keys["adc_choice"], keys["logic_op"]) == ("4", "2")


def test_any_other_converter_is_given_by_its_values() -> None:
    keys = interface(with_pe(adc=AdcConfig(bits=5, area_um2=0.1, power_w=1e-3), dac=DacConfig(bits=2)))
    assert (keys["adc_choice"], keys["adc_precision"], keys["adc_area"]) == ("-1", "5", "0.1")
    assert (keys["dac_choice"], keys["dac_precision"], keys["dac_power"]) == ("-1", "2", "3.9e-06")


def test_an_area_that_no_number_and_the_gate_add_up_to_is_refused_with_the_nearest_one() -> None:
    chip = with_pe(adc=AdcConfig(area_um2=7.7637223881078805, logic_area_um2=19.2 * 0.18))
    with pytest.raises(InvalidChip, match=r"area_um2: got 7\.7637223881078805, .* such as 7\.76372238810788"):
        simconfig_from_chip(chip)


def test_listed_converters_are_given_by_value_where_digital_pim_would_force_others() -> None:
    chip = with_pe(pim_type=PimType.DIGITAL, adc=ADC_CHOICES[4], dac=DAC_CHOICES[3])
    assert (interface(chip)["adc_choice"], interface(chip)["dac_choice"]) == ("-1", "-1")
    assert chip_from_simconfig(simconfig_from_chip(chip)) == chip


def test_products_are_written_as_the_most_equal_factors() -> None:
    pooling = PoolingConfig(window=12, technology_nm=45)
    keys = keys_of(simconfig_from_chip(ChipConfig(tile=TileConfig(pes=7, pooling=pooling))))["Tile level"]
    assert (keys["pe_num"], keys["pooling_shape"]) == ("1,7", "3,4")


def test_unplaced_tiles_have_a_number_that_mnsim_does_not_know() -> None:
    text = simconfig_from_chip(ChipConfig(placement=Placement.NONE))
    assert keys_of(text)["Architecture level"]["tile_connection"] == "-1"


IMPOSSIBLE = {
    "chip.tile.pe.adc.conversion": with_pe(adc=AdcConfig(conversion=AdcConversion.COUNTING)),
    "chip.tile.pe.adc.logic_area_um2": with_pe(adc=AdcConfig(logic_area_um2=2.0)),
    "chip.tile.pe.adc.area_um2": with_pe(adc=AdcConfig(area_um2=1.0, logic_area_um2=17.28 * 0.18)),
    "chip.tile.pe.crossbar.transistor_nm": with_pe(crossbar=CrossbarConfig(transistor_nm=28.5)),
    "chip.tile.pooling.technology_nm": ChipConfig(tile=TileConfig(pooling=PoolingConfig(technology_nm=1.5))),
    "chip.buffer.technology_nm": ChipConfig(buffer=BufferConfig(technology_nm=90.5)),
    "chip.digital.adder_area_um2": ChipConfig(digital=DigitalConfig(adder_area_um2=0)),
    "chip.tile.pe.crossbar.device.low_resistance_ohm": with_pe(
        crossbar=CrossbarConfig(
            device=DeviceConfig(kind=DeviceKind.SRAM, high_resistance_ohm=1.6e6, low_resistance_ohm=1e5)
        )
    ),
}


@pytest.mark.parametrize("field", IMPOSSIBLE)
def test_a_field_that_mnsim_cannot_have_is_named(field: str) -> None:
    with pytest.raises(InvalidChip, match=r"wanted .*MNSIM 2\.0") as caught:
        simconfig_from_chip(IMPOSSIBLE[field])
    assert [v.field for v in caught.value.violations] == [field]


def test_all_fields_that_mnsim_cannot_have_are_named_at_once() -> None:
    digital = DigitalConfig(adder_technology_nm=1.5, register_power_w=0)
    with pytest.raises(InvalidChip) as caught:
        simconfig_from_chip(replace(IMPOSSIBLE["chip.tile.pe.adc.conversion"], digital=digital))
    assert {v.field for v in caught.value.violations} == {
        "chip.digital.adder_technology_nm",
        "chip.digital.register_power_w",
        "chip.tile.pe.adc.conversion",
    }


def test_counting_is_possible_with_mnsims_adc_9_alone_and_in_analog_pim() -> None:
    assert interface(with_pe(adc=ADC_CHOICES[9]))["adc_choice"] == "9"
    with pytest.raises(InvalidChip, match="analog PIM"):
        simconfig_from_chip(with_pe(adc=ADC_CHOICES[9], pim_type=PimType.DIGITAL))


@pytest.mark.parametrize(
    ("chip", "fields", "told"),
    [
        (ChipConfig(), ["chip.grouped_mapping"], "MNSIM maps grouped convolutions in full"),
        (ChipConfig(grouped_mapping=GroupedMapping.FULL), ["chip.grouped_mapping"], "means packed"),
        (ChipConfig(pipeline=Pipeline.ROW), ["chip.pipeline", "chip.grouped_mapping"], "mode=0"),
        (ChipConfig(pipeline=Pipeline.NONE), ["chip.pipeline", "chip.grouped_mapping"], "no pipe"),
    ],
)
def test_what_a_simconfig_has_no_key_for_is_told(chip: ChipConfig, fields: list[str], told: str) -> None:
    notes = beyond_simconfig(chip)
    assert [note.field for note in notes] == fields
    assert any(told in note.description for note in notes)


def test_a_written_file_says_nothing_that_is_overridden_but_what_mnsim_must_find() -> None:
    _, ignored = read_simconfig(simconfig_from_chip(load_chip("isaac")))
    assert "[Interface level] ADC_Area" not in [item.key for item in ignored]
