"""MNSIM 2.0's SimConfig.ini -> ChipConfig.

A key left out has MNSIM's default. Keys without effect on any result are dropped, and it is said why; keys
that MNSIM does not know are refused, as they are likely typing mistakes.
"""

from __future__ import annotations

from dataclasses import replace

from services.common.errors import InvalidChip
from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES, LOGIC_AREA_UM2
from services.hw_oracle.simconfig_keys import PLACEMENTS, SRAM_RESISTANCE_OHM, USER
from services.hw_oracle.simconfig_values import Ignored, Values
from services.hw_oracle.types import (
    AdcConfig,
    BufferConfig,
    ChipConfig,
    CrossbarConfig,
    DacConfig,
    DeviceConfig,
    DeviceKind,
    DigitalConfig,
    PeConfig,
    PimType,
    Placement,
    PoolingConfig,
    TileConfig,
)


def chip_from_simconfig(text: str) -> ChipConfig:
    """Read the text of a SimConfig.ini; raises as `read_simconfig`."""
    return read_simconfig(text)[0]


def read_simconfig(text: str) -> tuple[ChipConfig, tuple[Ignored, ...]]:
    """Read the text of a SimConfig.ini, and say which of its keys have no effect.

    Raises
    ------
    InvalidChip
        Not an ini file; or all of its unknown sections and keys, its values that are no numbers or have no
        meaning, its levels that do not match their values, and what the chip's constructors refuse.
    """
    ini = Values(text)
    chip = _chip(ini)
    if ini.wrong:
        raise InvalidChip.of(*ini.wrong)
    return chip, tuple(ini.ignored)


def _chip(ini: Values) -> ChipConfig:
    ini.choice("Simulation_Level", {0: None})
    ini.choice("NoC_enable", {0: None})
    grid_rows, grid_columns = ini.integers("Tile_Num", 2)
    if grid_rows == 0:
        grid_rows = grid_columns = 8
    return ini.node(
        ChipConfig,
        tile=_tile(ini),
        buffer=ini.node(
            BufferConfig,
            technology_nm=ini.integer("Buffer_Technology") or 65,
            width_bits=ini.integer("Buffer_Bitwidth") or 256,
            input_size_kb=ini.number("PE_inBuf_Size") or None,
            output_size_kb=ini.number("Tile_outBuf_Size") or None,
        ),
        digital=_digital(ini),
        clock_mhz=ini.number("Digital_Frequency"),
        placement=PLACEMENTS.get(ini.integer("Tile_Connection"), Placement.NONE),
        grid_rows=grid_rows,
        grid_columns=grid_columns,
        inter_tile_bandwidth_gbps=ini.number("Inter_Tile_Bandwidth"),
        intra_tile_bandwidth_gbps=ini.number("Intra_Tile_Bandwidth"),
    )


def _tile(ini: Values) -> TileConfig:
    pe_rows, pe_columns = ini.integers("PE_Num", 2)
    window_rows, window_columns = ini.integers("Pooling_shape", 2)
    return ini.node(
        TileConfig,
        pe=_pe(ini),
        pooling=ini.node(
            PoolingConfig,
            window=window_rows * window_columns or 9,
            units=ini.integer("Pooling_unit_num") or 64,
            technology_nm=ini.integer("Pooling_Tech") or 65,
        ),
        pes=pe_rows * pe_columns if pe_rows else 16,
    )


def _pe(ini: Values) -> PeConfig:
    pim_type = ini.choice("PIM_Type", {0: PimType.ANALOG, 1: PimType.DIGITAL})
    digital = pim_type is PimType.DIGITAL
    differential = ini.choice("Xbar_Polarity", {1: False, 2: True})
    if not differential:
        ini.ignore("only a pair of crossbars (Xbar_Polarity = 2) is subtracted", "Sub_Position")
    return ini.node(
        PeConfig,
        crossbar=_crossbar(ini),
        dac=_dac(ini, digital),
        adc=_adc(ini, digital),
        pim_type=pim_type,
        differential=differential,
        digital_subtraction=differential and ini.choice("Sub_Position", {0: False, 1: True}),
        groups=ini.integer("Group_Num") or 1,
        dacs=ini.integer("DAC_Num"),
        adcs=ini.integer("ADC_Num") or None,
    )


def _dac(ini: Values, digital: bool) -> DacConfig:
    dac = ini.choice("DAC_Choice", {**DAC_CHOICES, USER: None})
    if dac is None:
        return ini.node(
            DacConfig,
            bits=ini.integer("DAC_Precision"),
            area_um2=ini.number("DAC_Area"),
            power_w=ini.number("DAC_Power"),
            rate_gsps=ini.number("DAC_Sample_Rate"),
        )
    why = "only DAC_Choice = -1 takes a DAC from the file"
    ini.ignore(why, "DAC_Precision", "DAC_Area", "DAC_Power", "DAC_Sample_Rate")
    if digital:
        ini.ignore("PIM_Type = 1 takes the 1-bit DAC", "DAC_Choice")
    return DAC_CHOICES[1] if digital else dac


def _adc(ini: Values, digital: bool) -> AdcConfig:
    adc = ini.choice("ADC_Choice", {**ADC_CHOICES, USER: None})
    logic_um2 = ini.choice("Logic_Op", LOGIC_AREA_UM2)
    if adc is None:
        return ini.node(
            AdcConfig,
            bits=ini.integer("ADC_Precision"),
            area_um2=ini.number("ADC_Area") + logic_um2,
            logic_area_um2=logic_um2,  # MNSIM 2.0 adds it once more, after it has derived the number of ADCs
            power_w=ini.number("ADC_Power"),
            rate_gsps=ini.number("ADC_Sample_Rate"),
        )
    why = "only ADC_Choice = -1 takes an ADC from the file"
    ini.ignore(why, "ADC_Precision", "ADC_Area", "ADC_Power", "ADC_Sample_Rate")
    if digital:
        ini.ignore("PIM_Type = 1 takes the sense amplifier, ADC 8", "ADC_Choice")
        adc = ADC_CHOICES[8]
    return replace(adc, area_um2=adc.area_um2 + logic_um2)


def _crossbar(ini: Values) -> CrossbarConfig:
    rows, columns = ini.integers("Xbar_Size", 2)
    off_voltage_v, on_voltage_v = ini.first_and_last("Read_Voltage", "Read_Level")
    kind = ini.choice("Device_Type", {"NVM": DeviceKind.NVM, "SRAM": DeviceKind.SRAM})
    if kind is DeviceKind.NVM:
        high_ohm, low_ohm = ini.first_and_last("Device_Resistance", "Device_Level")
    else:
        high_ohm = low_ohm = SRAM_RESISTANCE_OHM
        ini.ignore("an SRAM cell has 1.6e6 ohm in both states", "Device_Level", "Device_Resistance")
    derived_area = ini.integer("Area_Calculation") != 0
    if derived_area:
        ini.ignore("Area_Calculation = 1 derives it", "Device_Area")
    return ini.node(
        CrossbarConfig,
        device=ini.node(
            DeviceConfig,
            kind=kind,
            technology_nm=ini.number("Device_Tech"),
            cell_area_um2=None if derived_area else ini.number("Device_Area"),
            read_latency_ns=ini.number("Read_Latency"),
            high_resistance_ohm=high_ohm,
            low_resistance_ohm=low_ohm,
            off_voltage_v=off_voltage_v,
            on_voltage_v=on_voltage_v,
        ),
        rows=rows,
        columns=columns,
        subarray_rows=ini.integer("Subarray_Size"),
        passive=ini.choice("Cell_Type", {"1T1R": False, "0T1R": True}),
        transistor_nm=ini.integer("Transistor_Tech"),
    )


def _digital(ini: Values) -> DigitalConfig:
    def technology_nm(key: str) -> int:
        value = ini.integer(key)
        return value if value > 0 else 65

    return ini.node(
        DigitalConfig,
        adder_technology_nm=ini.integer("Adder_Tech"),
        adder_area_um2=ini.number("Adder_Area") or None,
        adder_power_w=ini.number("Adder_Power") or None,
        shift_register_technology_nm=technology_nm("ShiftReg_Tech"),
        shift_register_area_um2=ini.number("ShiftReg_Area") or None,
        shift_register_power_w=ini.number("ShiftReg_Power") or None,
        register_technology_nm=technology_nm("Reg_Tech"),
        register_area_um2=ini.number("Reg_Area") or None,
        register_power_w=ini.number("Reg_Power") or None,
        joint_module_technology_nm=technology_nm("JointModule_Tech"),
        joint_module_area_um2=ini.number("JointModule_Area") or None,
        joint_module_power_w=ini.number("JointModule_Power") or None,
    )
