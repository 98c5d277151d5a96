"""MNSIM 2.0's SimConfig.ini -> ChipConfig.

A key left out has MNSIM's default. Keys without effect on any result are accepted and dropped; keys that
MNSIM does not know are refused, as they are likely typing mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from configparser import ConfigParser
from configparser import Error as ParserError
from dataclasses import replace
from typing import TypeVar

from services.common.errors import InvalidChip, Violation, one_of, violation
from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES, LOGIC_AREA_UM2
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

T = TypeVar("T")
C = TypeVar("C", int, str)

DEFAULTS = """
[Device level]
Device_Tech=130 Device_Type=NVM Device_Area=1.44 Read_Level=2 Read_Voltage=0,0.15 Read_Latency=3.16
Device_Level=2 Device_Resistance=1e6,1e4
[Crossbar level]
Xbar_Size=256,256 Subarray_Size=256 Cell_Type=1T1R Transistor_Tech=130 Area_Calculation=0
[Interface level]
DAC_Choice=1 DAC_Area=0 DAC_Precision=0 DAC_Power=0 DAC_Sample_Rate=0
ADC_Choice=6 ADC_Area=0 ADC_Precision=0 ADC_Power=0 ADC_Sample_Rate=0 Logic_Op=-1
[Process element level]
PIM_Type=0 Xbar_Polarity=2 Sub_Position=0 Group_Num=1 DAC_Num=128 ADC_Num=128
PE_inBuf_Size=0 Tile_outBuf_Size=0
[Digital module]
Digital_Frequency=500 Adder_Tech=45 Adder_Area=0 Adder_Power=0
ShiftReg_Tech=65 ShiftReg_Area=0 ShiftReg_Power=0
Reg_Tech=45 Reg_Area=0 Reg_Power=0 JointModule_Tech=45 JointModule_Area=0 JointModule_Power=0
[Tile level]
PE_Num=2,2 Pooling_shape=3,3 Pooling_unit_num=64 Pooling_Tech=65
Inter_Tile_Bandwidth=20 Intra_Tile_Bandwidth=1024
[Architecture level]
Buffer_Technology=90 Buffer_Bitwidth=64 Tile_Connection=2 Tile_Num=64,64
[Algorithm Configuration]
Simulation_Level=0 NoC_enable=0
"""
"""Keys with an effect, and MNSIM 2.0's defaults. No key has one in two sections."""

WITHOUT_EFFECT = """
[Device level]
Write_Level Write_Voltage Write_Latency Device_Variation Device_SAF Read_Energy Write_Energy
[Crossbar level]
Wire_Resistance Wire_Capacity Load_Resistance
[Interface level]
ADC_Interval_Thres
[Process element level]
PE_inBuf_Area Tile_outBuf_Area DFU_Buf_Size DFU_Buf_Area
[Digital module]
Multiplier_Tech Multiplier_Area Multiplier_Power
[Tile level]
Pooling_area Tile_Adder_Num Tile_Adder_Level Tile_ShiftReg_Num Tile_ShiftReg_Level
Tile_outBuf_Size Tile_outBuf_Area DFU_Buf_Size DFU_Buf_Area
[Architecture level]
Buffer_Choice Buffer_ReadPower Buffer_WritePower LUT_Capacity LUT_Area LUT_Power LUT_Bandwidth
[Algorithm Configuration]
Weight_Polarity
"""
"""Keys that MNSIM 2.0 reads, or only has, and that decide no latency, energy, area or power."""

SOURCES = """
chip grid_rows=Tile_Num grid_columns=Tile_Num clock_mhz=Digital_Frequency placement=Tile_Connection
chip inter_tile_bandwidth_gbps=Inter_Tile_Bandwidth intra_tile_bandwidth_gbps=Intra_Tile_Bandwidth
chip.buffer technology_nm=Buffer_Technology width_bits=Buffer_Bitwidth
chip.buffer input_size_kb=PE_inBuf_Size output_size_kb=Tile_outBuf_Size
chip.tile pes=PE_Num
chip.tile.pooling window=Pooling_shape units=Pooling_unit_num technology_nm=Pooling_Tech
chip.tile.pe groups=Group_Num dacs=DAC_Num adcs=ADC_Num
chip.tile.pe.dac bits=DAC_Precision area_um2=DAC_Area power_w=DAC_Power rate_gsps=DAC_Sample_Rate
chip.tile.pe.adc bits=ADC_Precision area_um2=ADC_Area power_w=ADC_Power rate_gsps=ADC_Sample_Rate
chip.tile.pe.crossbar rows=Xbar_Size columns=Xbar_Size subarray_rows=Subarray_Size
chip.tile.pe.crossbar transistor_nm=Transistor_Tech
chip.tile.pe.crossbar.device technology_nm=Device_Tech cell_area_um2=Device_Area read_latency_ns=Read_Latency
chip.tile.pe.crossbar.device high_resistance_ohm=Device_Resistance low_resistance_ohm=Device_Resistance
chip.tile.pe.crossbar.device off_voltage_v=Read_Voltage on_voltage_v=Read_Voltage
chip.digital adder_technology_nm=Adder_Tech adder_area_um2=Adder_Area adder_power_w=Adder_Power
chip.digital shift_register_technology_nm=ShiftReg_Tech register_technology_nm=Reg_Tech
chip.digital shift_register_area_um2=ShiftReg_Area shift_register_power_w=ShiftReg_Power
chip.digital register_area_um2=Reg_Area register_power_w=Reg_Power
chip.digital joint_module_technology_nm=JointModule_Tech
chip.digital joint_module_area_um2=JointModule_Area joint_module_power_w=JointModule_Power
"""
"""Key that each field of the chip comes from, for messages about it."""

PLACEMENTS = {0: Placement.ROW_MAJOR, 1: Placement.SNAKE, 2: Placement.SHELL, 3: Placement.ZIGZAG}
"""Placement by Tile_Connection; any other number places nothing."""

SRAM_RESISTANCE_OHM = 1.6e6
"""Resistance that MNSIM 2.0 gives both states of an SRAM cell, whatever the file says."""

USER = -1
"""DAC_Choice and ADC_Choice that stand for the values given in the file."""


def chip_from_simconfig(text: str) -> ChipConfig:
    """Read the text of a SimConfig.ini.

    Raises
    ------
    InvalidChip
        Not an ini file, an unknown section or key, a value that is no number or has no meaning, or levels
        that do not match their values; then as the chip's constructors do.
    """
    try:
        return _chip(_Values(_parse(text)))
    except InvalidChip as error:
        raise InvalidChip.of(*map(_with_key, error.violations)) if error.violations else error from None


def _with_key(wrong: Violation) -> Violation:
    """Add the key that a field of the chip comes from, if it comes from one."""
    node, _, name = wrong.field.rpartition(".")
    for line in SOURCES.strip().splitlines():
        path, *pairs = line.split()
        if path == node and (key := dict(pair.split("=") for pair in pairs).get(name)):
            return Violation(wrong.field, f"{wrong.description}; change {key}, which it comes from")
    return wrong


def _chip(ini: _Values) -> ChipConfig:
    ini.choice("Simulation_Level", {0: None})
    ini.choice("NoC_enable", {0: None})
    grid_rows, grid_columns = ini.integers("Tile_Num", 2)
    if grid_rows == 0:
        grid_rows = grid_columns = 8
    return ChipConfig(
        tile=_tile(ini),
        buffer=BufferConfig(
            technology_nm=ini.number("Buffer_Technology") or 65.0,
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


def _tile(ini: _Values) -> TileConfig:
    pe_rows, pe_columns = ini.integers("PE_Num", 2)
    window_rows, window_columns = ini.integers("Pooling_shape", 2)
    return TileConfig(
        pe=_pe(ini),
        pooling=PoolingConfig(
            window=window_rows * window_columns or 9,
            units=ini.integer("Pooling_unit_num") or 64,
            technology_nm=ini.number("Pooling_Tech") or 65.0,
        ),
        pes=pe_rows * pe_columns if pe_rows else 16,
    )


def _pe(ini: _Values) -> PeConfig:
    pim_type = ini.choice("PIM_Type", {0: PimType.ANALOG, 1: PimType.DIGITAL})
    digital = pim_type is PimType.DIGITAL
    differential = ini.choice("Xbar_Polarity", {1: False, 2: True})
    subtraction = ini.choice("Sub_Position", {0: False, 1: True})
    return PeConfig(
        crossbar=_crossbar(ini),
        dac=_dac(ini, digital),
        adc=_adc(ini, digital),
        pim_type=pim_type,
        differential=differential,
        digital_subtraction=subtraction and differential,
        groups=ini.integer("Group_Num") or 1,
        dacs=ini.integer("DAC_Num"),
        adcs=ini.integer("ADC_Num") or None,
    )


def _dac(ini: _Values, digital: bool) -> DacConfig:
    dac = ini.choice("DAC_Choice", {**DAC_CHOICES, USER: None})
    if dac is not None:
        return DAC_CHOICES[1] if digital else dac
    return DacConfig(
        bits=ini.integer("DAC_Precision"),
        area_um2=ini.number("DAC_Area"),
        power_w=ini.number("DAC_Power"),
        rate_gsps=ini.number("DAC_Sample_Rate"),
    )


def _adc(ini: _Values, digital: bool) -> AdcConfig:
    adc = ini.choice("ADC_Choice", {**ADC_CHOICES, USER: None})
    logic_um2 = ini.choice("Logic_Op", LOGIC_AREA_UM2)
    if adc is not None:
        adc = ADC_CHOICES[8] if digital else adc
        return replace(adc, area_um2=adc.area_um2 + logic_um2)
    return AdcConfig(
        bits=ini.integer("ADC_Precision"),
        area_um2=ini.number("ADC_Area") + logic_um2,
        logic_area_um2=logic_um2,  # MNSIM 2.0 adds it once more, after it has derived the number of ADCs
        power_w=ini.number("ADC_Power"),
        rate_gsps=ini.number("ADC_Sample_Rate"),
    )


def _crossbar(ini: _Values) -> CrossbarConfig:
    rows, columns = ini.integers("Xbar_Size", 2)
    voltages = ini.numbers("Read_Voltage", ini.integer("Read_Level"))
    kind = ini.choice("Device_Type", {"NVM": DeviceKind.NVM, "SRAM": DeviceKind.SRAM})
    if kind is DeviceKind.NVM:
        resistances = ini.numbers("Device_Resistance", ini.integer("Device_Level"))
    else:
        resistances = (SRAM_RESISTANCE_OHM,)
    derived_area = ini.integer("Area_Calculation") != 0
    return CrossbarConfig(
        device=DeviceConfig(
            kind=kind,
            technology_nm=ini.number("Device_Tech"),
            cell_area_um2=None if derived_area else ini.number("Device_Area"),
            read_latency_ns=ini.number("Read_Latency"),
            high_resistance_ohm=resistances[0],
            low_resistance_ohm=resistances[-1],
            off_voltage_v=voltages[0],
            on_voltage_v=voltages[-1],
        ),
        rows=rows,
        columns=columns,
        subarray_rows=ini.integer("Subarray_Size"),
        passive=ini.text("Cell_Type").startswith("0"),
        transistor_nm=ini.number("Transistor_Tech"),
    )


def _digital(ini: _Values) -> DigitalConfig:
    def technology_nm(key: str) -> float:
        value = ini.number(key)
        return value if value > 0 else 65.0

    return DigitalConfig(
        adder_technology_nm=ini.number("Adder_Tech"),
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


class _Parser(ConfigParser):
    """A parser that leaves the case of keys as it is, for messages."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


class _Values:
    """Typed values by key."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def text(self, key: str) -> str:
        return self.texts[key].strip()

    def number(self, key: str) -> float:
        return self._list(key, float, 1)[0]

    def numbers(self, key: str, length: int) -> tuple[float, ...]:
        return self._list(key, float, length)

    def integer(self, key: str) -> int:
        return self._list(key, int, 1)[0]

    def integers(self, key: str, length: int) -> tuple[int, ...]:
        return self._list(key, int, length)

    def choice(self, key: str, choices: dict[C, T]) -> T:
        value = self.text(key) if isinstance(next(iter(choices)), str) else self.integer(key)
        if value not in choices:
            raise InvalidChip.of(violation(key, value, one_of(map(str, choices), str(value))))
        return choices[value]

    def _list(self, key: str, kind: Callable[[str], T], length: int) -> tuple[T, ...]:
        try:
            values = tuple(kind(part) for part in self.text(key).split(","))
        except ValueError:
            values = ()
        if not values or len(values) != length:
            noun = "whole numbers" if kind is int else "numbers"
            wanted = f"{length} {noun}, separated by commas" if length != 1 else f"one of the {noun}"
            raise InvalidChip.of(violation(key, self.text(key), wanted))
        return values


def _parse(text: str) -> dict[str, str]:
    """Texts of all keys with an effect, the file's or the default."""
    defaults, without = _sections(DEFAULTS), _sections(WITHOUT_EFFECT)
    texts = {key: value for keys in defaults.values() for key, value in keys.items()}
    parser = _Parser(interpolation=None)
    try:
        parser.read_string(text)
    except ParserError as error:
        raise InvalidChip(f"this is no SimConfig.ini: {error}") from None
    wrong = []
    for section in parser.sections():
        if section not in defaults:
            wrong.append(Violation(f"[{section}]", f"unknown section, wanted {one_of(defaults, section)}"))
            continue
        spelled = {key.lower(): key for key in (*defaults[section], *without[section])}
        for given, value in parser[section].items():
            key = spelled.get(given.lower())
            if key is None:
                wanted = one_of(spelled.values(), given)
                wrong.append(Violation(f"[{section}] {given}", f"unknown key, wanted {wanted}"))
            elif key in defaults[section]:
                texts[key] = value
    if wrong:
        raise InvalidChip.of(*wrong)
    return texts


def _sections(table: str) -> dict[str, dict[str, str]]:
    """Read one of the tables above: section, then key, then default (empty where there is none)."""
    found: dict[str, dict[str, str]] = {}
    for line in table.strip().splitlines():
        if line.startswith("["):
            keys = found.setdefault(line.strip("[]"), {})
        else:
            keys.update((item.partition("=")[::2]) for item in line.split())
    return found
