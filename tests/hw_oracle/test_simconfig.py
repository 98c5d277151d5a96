from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from services.common.errors import InvalidChip
from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES
from services.hw_oracle.simconfig import chip_from_simconfig, read_simconfig
from services.hw_oracle.simconfig_keys import sections, sources, without_effect
from services.hw_oracle.types import ChipConfig, DeviceKind, PimType, Placement

GATE_UM2 = 17.28 * 0.18


def test_an_empty_file_is_mnsims_default() -> None:
    assert chip_from_simconfig("") == ChipConfig()


def test_round_and_zero_values_mean_what_they_mean_in_mnsim() -> None:
    chip = chip_from_simconfig(
        """
        [Process element level]
        Group_Num = 0
        ADC_Num = 0
        [Tile level]
        PE_Num = 0,0
        Pooling_shape = 0,3
        Pooling_unit_num = 0
        Pooling_Tech = 0
        [Digital module]
        ShiftReg_Tech = 0
        Adder_Area = 0
        [Architecture level]
        Buffer_Technology = 0
        Buffer_Bitwidth = 0
        Tile_Num = 0,0
        Tile_Connection = 7
        """.replace("        ", "")
    )
    assert (chip.tile.pe.groups, chip.tile.pe.adcs, chip.tile.pes) == (1, None, 16)
    assert (chip.tile.pooling.window, chip.tile.pooling.units, chip.tile.pooling.technology_nm) == (9, 64, 65)
    assert (chip.digital.shift_register_technology_nm, chip.digital.adder_area_um2) == (65, None)
    assert (chip.buffer.technology_nm, chip.buffer.width_bits) == (65, 256)
    assert (chip.grid_rows, chip.grid_columns, chip.placement) == (8, 8, Placement.NONE)


def test_keys_are_deaf_to_case_and_those_without_effect_are_dropped() -> None:
    text = "[Device level]\nREAD_LATENCY = 5\nWrite_Latency = 77\n[Tile level]\nTile_outBuf_Size = 4"
    chip = chip_from_simconfig(text)
    assert chip.tile.pe.crossbar.device.read_latency_ns == 5
    assert chip.buffer.output_size_kb is None


def test_digital_pim_forces_one_bit_converters_unless_they_are_the_users() -> None:
    interface = "DAC_Precision=2\nDAC_Sample_Rate=1\nADC_Precision=3\nADC_Sample_Rate=1\nADC_Area=5"
    forced = chip_from_simconfig(
        "[Process element level]\nPIM_Type=1\n[Interface level]\nDAC_Choice=4\n"
    ).tile.pe
    users = chip_from_simconfig(
        f"[Process element level]\nPIM_Type=1\n[Interface level]\nDAC_Choice=-1\nADC_Choice=-1\n{interface}"
    ).tile.pe
    assert (forced.pim_type, forced.dac, forced.adc) == (PimType.DIGITAL, DAC_CHOICES[1], ADC_CHOICES[8])
    assert (users.dac.bits, users.adc.bits) == (2, 3)


def test_the_gate_counts_once_with_a_listed_adc_and_twice_with_the_users() -> None:
    listed = chip_from_simconfig("[Interface level]\nADC_Choice=4\nLogic_Op=0").tile.pe.adc
    users = chip_from_simconfig(
        "[Interface level]\nADC_Choice=-1\nADC_Precision=4\nADC_Sample_Rate=1\nADC_Area=100\nLogic_Op=0"
    ).tile.pe.adc
    assert (listed.area_um2, listed.logic_area_um2) == (580 + GATE_UM2, 0)
    assert (users.area_um2, users.logic_area_um2) == (100 + GATE_UM2, GATE_UM2)


def test_sram_has_mnsims_resistance_whatever_the_file_says() -> None:
    device = chip_from_simconfig(
        "[Device level]\nDevice_Type=SRAM\nDevice_Resistance=5"
    ).tile.pe.crossbar.device
    assert (device.kind, device.high_resistance_ohm, device.low_resistance_ohm) == (
        DeviceKind.SRAM,
        1.6e6,
        1.6e6,
    )


def test_sub_position_needs_pairs() -> None:
    text = "[Process element level]\nSub_Position=1\nXbar_Polarity="
    assert chip_from_simconfig(text + "2").tile.pe.digital_subtraction
    assert not chip_from_simconfig(text + "1").tile.pe.digital_subtraction


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Device_Tech = 1", "this is no SimConfig.ini"),
        ("[Tile levl]", r"\[Tile levl\]: unknown section, .*did you mean Tile level"),
        ("[Tile level]\nPE_Nums = 2,2", "unknown key, .*did you mean"),
        ("[Tile level]\nGroup_Num = 2", r"unknown key, wanted it in \[Process element level\]"),
        ("[Architecture level]\nBuffer_Capacity = 16", "unknown key, .*did you mean LUT_Capacity"),
        ("[Tile level]\nPE_Num = 2,2\npe_num = 3,3", "pe_num: is given twice"),
        ("[Tile level]\nPE_Num = 2,2\nPE_Num = 3,3", "this is no SimConfig.ini"),
        ("[DEFAULT]\nPE_Num = 2,2", r"\[DEFAULT\]: unknown section"),
        ("[Crossbar level]\nCell_Type = 2T1R", "Cell_Type: got '2T1R', wanted one of 1T1R, 0T1R"),
        ("[Device level]\nDevice_Resistance = 1e6,nan", "wanted 2 finite numbers"),
        ("[Tile level]\nPE_Num = 2", "PE_Num: got '2', wanted 2 whole numbers"),
        ("[Tile level]\nPE_Num = -2,2", "chip.tile.pes"),
        (
            "[Digital module]\nDigital_Frequency = fast",
            "Digital_Frequency: got 'fast', wanted a finite number",
        ),
        ("[Digital module]\nDigital_Frequency = nan", "Digital_Frequency: got 'nan', wanted a finite number"),
        ("[Digital module]\nShiftReg_Tech = -inf", "ShiftReg_Tech: got '-inf', wanted a whole number"),
        ("[Crossbar level]\nTransistor_Tech = 28.5", "Transistor_Tech: got '28.5', wanted a whole number"),
        ("[Device level]\nDevice_Level = 3", "Device_Resistance: got '1e6,1e4', wanted 3 finite numbers"),
        ("[Device level]\nRead_Voltage = 1", "Read_Voltage: got '1', wanted 2 finite numbers"),
        ("[Device level]\nDevice_Type = RAM", "Device_Type: got 'RAM', .*did you mean SRAM"),
        ("[Interface level]\nDAC_Choice = 8", "DAC_Choice: got 8, wanted one of 1, 2, 3, 4, 5, 6, 7, -1"),
        ("[Interface level]\nADC_Choice = 0", "ADC_Choice: got 0"),
        ("[Interface level]\nADC_Choice = -1", "chip.tile.pe.adc.bits: got 0"),
        ("[Interface level]\nLogic_Op = 3", "Logic_Op: got 3"),
        (
            "[Crossbar level]\nSubarray_Size = 100",
            "subarray_rows: got 100, wanted a divisor of rows = 256; change Subarray_Size, which",
        ),
        ("[Tile level]\nPooling_unit_num = 9", "change Pooling_unit_num"),
        ("[Algorithm Configuration]\nNoC_enable = 1", "NoC_enable: got 1, wanted one of 0"),
    ],
)
def test_a_wrong_file_is_refused_by_key(text: str, message: str) -> None:
    with pytest.raises(InvalidChip, match=message):
        chip_from_simconfig(text)


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    text = """
[Tile level]
PE_Nums = 2,2
Pooling_unit_num = 9
[Interface level]
DAC_Choice = 8
[Crossbar level]
Subarray_Size = 100
[Digital module]
Digital_Frequency = 0
"""
    with pytest.raises(InvalidChip) as caught:
        chip_from_simconfig(text)
    assert sorted(v.field for v in caught.value.violations) == [
        "DAC_Choice",
        "[Tile level] PE_Nums",
        "chip.clock_mhz",
        "chip.tile.pe.crossbar.subarray_rows",
        "chip.tile.pooling.units",
    ]


def test_every_field_but_two_comes_from_a_key_with_an_effect() -> None:
    def names(node: Any) -> Iterator[str]:
        for f in fields(node):
            value = getattr(node, f.name)
            yield from names(value) if is_dataclass(value) else (f"{node.path}.{f.name}",)

    assert set(names(ChipConfig())) - set(sources()) == {"chip.pipeline", "chip.grouped_mapping"}
    assert set(sources()) < set(names(ChipConfig()))
    effective = {key for name, keys in sections().items() for key in keys if key not in without_effect(name)}
    assert set(sources().values()) < effective


def test_every_key_said_to_be_without_effect_is_one_of_its_section() -> None:
    for section, keys in sections().items():
        assert set(without_effect(section)) <= set(keys)


# Each of these overrides another set of keys.
OVERRIDING = [
    "default.ini",
    "digital.ini",
    "edge_digital_user_adc.ini",
    "userifc.ini",
    "polarity1.ini",
    "sram.ini",
    "edge_derived_dev.ini",
    "device_mlc4.ini",
]


@pytest.mark.parametrize("name", OVERRIDING)
def test_a_key_is_said_to_be_ignored_just_when_its_value_does_not_matter(
    golden_configs: dict[str, str], name: str
) -> None:
    chip, ignored = read_simconfig(golden_configs[name])
    told = {item.key for item in ignored if not item.why.startswith("of its 4 values")}
    section = ""
    lines = golden_configs[name].splitlines()
    for number, line in enumerate(lines):
        section = line if line.startswith("[") else section
        key, equals, _ = line.partition("=")
        if not equals:
            continue
        place = f"{section} {key.strip()}"
        nonsense = "\n".join([*lines[:number], f"{key}= nonsense", *lines[number + 1 :]])
        without = "\n".join([*lines[:number], *lines[number + 1 :]])
        if place in told and key.strip() not in ("DAC_Choice", "ADC_Choice"):  # these must be choices
            assert chip_from_simconfig(nonsense) == chip_from_simconfig(without) == chip, place
        elif place in told:
            assert chip_from_simconfig(without) == chip
        else:
            with pytest.raises(InvalidChip, match=key.strip()):
                chip_from_simconfig(nonsense)


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ("[Device level]\nWrite_Latency = 9", "[Device level] Write_Latency", "never written"),
        ("[Device level]\nRead_Energy = 9", "[Device level] Read_Energy", "V2/R"),
        ("[Device level]\nDevice_SAF = 9,1", "[Device level] Device_SAF", "accuracy alone"),
        ("[Interface level]\nADC_AREA = 9", "[Interface level] ADC_Area", "only ADC_Choice = -1"),
        ("[Interface level]\nDAC_Power = 9", "[Interface level] DAC_Power", "only DAC_Choice = -1"),
        (
            "[Process element level]\nPIM_Type = 1\n[Interface level]\nDAC_Choice = 4",
            "[Interface level] DAC_Choice",
            "PIM_Type = 1",
        ),
        (
            "[Process element level]\nPIM_Type = 1\n[Interface level]\nADC_Choice = 4",
            "[Interface level] ADC_Choice",
            "PIM_Type = 1",
        ),
        (
            "[Process element level]\nSub_Position = 1\nXbar_Polarity = 1",
            "[Process element level] Sub_Position",
            "Xbar_Polarity = 2",
        ),
        (
            "[Device level]\nDevice_Type = SRAM\nDevice_Resistance = 5",
            "[Device level] Device_Resistance",
            "SRAM",
        ),
        (
            "[Device level]\nDevice_Area = 5\n[Crossbar level]\nArea_Calculation = 1",
            "[Device level] Device_Area",
            "Area_Calculation = 1",
        ),
        ("[Tile level]\nTile_outBuf_Size = 4", "[Tile level] Tile_outBuf_Size", "[Process element level]"),
        (
            "[Device level]\nDevice_Level = 4\nDevice_Resistance = 8,4,2,1",
            "[Device level] Device_Resistance",
            "of its 4 values the first and the last count",
        ),
    ],
)
def test_an_ignored_key_is_told_with_its_reason(text: str, key: str, why: str) -> None:
    found = {item.key: item.why for item in read_simconfig(text)[1]}
    assert list(found) == [key]
    assert why in found[key]
