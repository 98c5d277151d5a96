from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from services.common.errors import InvalidChip
from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES
from services.hw_oracle.simconfig import DEFAULTS, SOURCES, _sections, chip_from_simconfig
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
        ("[Tile level]\nPE_Num = 2", "PE_Num: got '2', wanted 2 whole numbers"),
        ("[Tile level]\nPE_Num = -2,2", "chip.tile.pes"),
        (
            "[Digital module]\nDigital_Frequency = fast",
            "Digital_Frequency: got 'fast', wanted one of the numbers",
        ),
        ("[Digital module]\nDigital_Frequency = nan", "chip.clock_mhz: got nan"),
        ("[Device level]\nDevice_Level = 3", "Device_Resistance: got '1e6,1e4', wanted 3 numbers"),
        ("[Device level]\nRead_Voltage = 1", "Read_Voltage: got '1', wanted 2 numbers"),
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


def test_every_key_that_a_field_comes_from_is_one() -> None:
    def names(node: Any) -> Iterator[str]:
        for f in fields(node):
            value = getattr(node, f.name)
            yield from names(value) if is_dataclass(value) else (f"{node.path}.{f.name}",)

    sources = [line.split() for line in SOURCES.strip().splitlines()]
    pairs = [
        (f"{node}.{pair.split('=')[0]}", pair.split("=")[1]) for node, *items in sources for pair in items
    ]
    assert {field for field, _ in pairs} <= set(names(ChipConfig()))
    assert {key for _, key in pairs} <= {key for keys in _sections(DEFAULTS).values() for key in keys}
