"""The keys of MNSIM 2.0's SimConfig.ini: their sections, defaults, and which of them decide nothing.

Values and meanings: MNSIM 2.0 at commit ca39ccb, SimConfig.ini and the hardware models that read it.
"""

from __future__ import annotations

from services.hw_oracle.types import Placement

DEFAULTS = """
[Device level]
Device_Tech=130 Device_Type=NVM Device_Area=1.44 Read_Level=2 Read_Voltage=0,0.15
Write_Level=2 Write_Voltage=0,3 Read_Latency=3.16 Write_Latency=10
Device_Level=2 Device_Resistance=1e6,1e4 Device_Variation=1 Device_SAF=0.1,0.1
Read_Energy=1.12e-15 Write_Energy=1.6e-15
[Crossbar level]
Xbar_Size=256,256 Subarray_Size=256 Cell_Type=1T1R Transistor_Tech=130
Wire_Resistance=-1 Wire_Capacity=-1 Load_Resistance=-1 Area_Calculation=0
[Interface level]
DAC_Choice=1 DAC_Area=0 DAC_Precision=0 DAC_Power=0 DAC_Sample_Rate=0
ADC_Choice=6 ADC_Area=0 ADC_Precision=0 ADC_Power=0 ADC_Sample_Rate=0 ADC_Interval_Thres=-1 Logic_Op=-1
[Process element level]
PIM_Type=0 Xbar_Polarity=2 Sub_Position=0 Group_Num=1 DAC_Num=128 ADC_Num=128
PE_inBuf_Size=0 PE_inBuf_Area=0 Tile_outBuf_Size=0 Tile_outBuf_Area=0 DFU_Buf_Size=0 DFU_Buf_Area=0
[Digital module]
Digital_Frequency=500 Adder_Tech=45 Adder_Area=0 Adder_Power=0
Multiplier_Tech=45 Multiplier_Area=0 Multiplier_Power=0 ShiftReg_Tech=65 ShiftReg_Area=0 ShiftReg_Power=0
Reg_Tech=45 Reg_Area=0 Reg_Power=0 JointModule_Tech=45 JointModule_Area=0 JointModule_Power=0
[Tile level]
PE_Num=2,2 Pooling_shape=3,3 Pooling_unit_num=64 Pooling_Tech=65 Pooling_area=0
Tile_Adder_Num=0 Tile_Adder_Level=0 Tile_ShiftReg_Num=0 Tile_ShiftReg_Level=0
Inter_Tile_Bandwidth=20 Intra_Tile_Bandwidth=1024
Tile_outBuf_Size=0 Tile_outBuf_Area=0 DFU_Buf_Size=0 DFU_Buf_Area=0
[Architecture level]
Buffer_Choice=1 Buffer_Technology=90 Buffer_ReadPower=0 Buffer_WritePower=0 Buffer_Bitwidth=64
LUT_Capacity=1 LUT_Area=0 LUT_Power=0 LUT_Bandwidth=0 Tile_Connection=2 Tile_Num=64,64
[Algorithm Configuration]
Weight_Polarity=1 Simulation_Level=0 NoC_enable=0
"""
"""Every key in MNSIM's order with its default. No key has an effect in two sections."""

_UNUSED = "MNSIM 2.0 does not use it"

WITHOUT_EFFECT = {
    "Device level": {
        "weights are never written": "Write_Level Write_Voltage Write_Latency Write_Energy",
        "it bears on accuracy alone": "Device_Variation Device_SAF",
        "reading a cell costs V2/R": "Read_Energy",
    },
    "Crossbar level": {
        _UNUSED: "Wire_Resistance Wire_Capacity",
        "it bears on accuracy alone": "Load_Resistance",
    },
    "Interface level": {"it bears on accuracy alone": "ADC_Interval_Thres"},
    "Process element level": {
        "a buffer's area follows from its size": "PE_inBuf_Area Tile_outBuf_Area",
        _UNUSED: "DFU_Buf_Size DFU_Buf_Area",
    },
    "Digital module": {"no total holds it": "Multiplier_Tech Multiplier_Area Multiplier_Power"},
    "Tile level": {
        "MNSIM 2.0 overwrites it": "Pooling_area",
        _UNUSED: "Tile_Adder_Num Tile_Adder_Level Tile_ShiftReg_Num Tile_ShiftReg_Level"
        " Tile_outBuf_Area DFU_Buf_Size DFU_Buf_Area",
        "the one in [Process element level] counts": "Tile_outBuf_Size",
    },
    "Architecture level": {
        "buffers are SRAM": "Buffer_Choice",
        "MNSIM 2.0 overwrites it": "Buffer_ReadPower Buffer_WritePower",
        _UNUSED: "LUT_Capacity LUT_Area LUT_Power LUT_Bandwidth",
    },
    "Algorithm Configuration": {_UNUSED: "Weight_Polarity"},
}
"""Keys that MNSIM 2.0 reads, or only has, and that decide no latency, energy, area or power; and why."""

SOURCES = """
chip grid_rows=Tile_Num grid_columns=Tile_Num clock_mhz=Digital_Frequency placement=Tile_Connection
chip inter_tile_bandwidth_gbps=Inter_Tile_Bandwidth intra_tile_bandwidth_gbps=Intra_Tile_Bandwidth
chip.buffer technology_nm=Buffer_Technology width_bits=Buffer_Bitwidth
chip.buffer input_size_kb=PE_inBuf_Size output_size_kb=Tile_outBuf_Size
chip.tile pes=PE_Num
chip.tile.pooling window=Pooling_shape units=Pooling_unit_num technology_nm=Pooling_Tech
chip.tile.pe pim_type=PIM_Type differential=Xbar_Polarity digital_subtraction=Sub_Position
chip.tile.pe groups=Group_Num dacs=DAC_Num adcs=ADC_Num
chip.tile.pe.dac bits=DAC_Precision area_um2=DAC_Area power_w=DAC_Power rate_gsps=DAC_Sample_Rate
chip.tile.pe.adc bits=ADC_Precision area_um2=ADC_Area power_w=ADC_Power rate_gsps=ADC_Sample_Rate
chip.tile.pe.adc logic_area_um2=Logic_Op conversion=ADC_Choice
chip.tile.pe.crossbar rows=Xbar_Size columns=Xbar_Size subarray_rows=Subarray_Size
chip.tile.pe.crossbar passive=Cell_Type transistor_nm=Transistor_Tech
chip.tile.pe.crossbar.device kind=Device_Type technology_nm=Device_Tech cell_area_um2=Device_Area
chip.tile.pe.crossbar.device read_latency_ns=Read_Latency
chip.tile.pe.crossbar.device high_resistance_ohm=Device_Resistance low_resistance_ohm=Device_Resistance
chip.tile.pe.crossbar.device off_voltage_v=Read_Voltage on_voltage_v=Read_Voltage
chip.digital adder_technology_nm=Adder_Tech adder_area_um2=Adder_Area adder_power_w=Adder_Power
chip.digital shift_register_technology_nm=ShiftReg_Tech register_technology_nm=Reg_Tech
chip.digital shift_register_area_um2=ShiftReg_Area shift_register_power_w=ShiftReg_Power
chip.digital register_area_um2=Reg_Area register_power_w=Reg_Power
chip.digital joint_module_technology_nm=JointModule_Tech
chip.digital joint_module_area_um2=JointModule_Area joint_module_power_w=JointModule_Power
"""
"""Key that each field of the chip comes from; `pipeline` and `grouped_mapping` come from none."""

WHOLE = (
    *("Transistor_Tech", "Pooling_Tech", "Buffer_Technology"),
    *("Adder_Tech", "ShiftReg_Tech", "Reg_Tech", "JointModule_Tech"),
)
"""Keys of fields that may be fractions, which MNSIM 2.0 reads as whole numbers."""

PLACEMENTS = {0: Placement.ROW_MAJOR, 1: Placement.SNAKE, 2: Placement.SHELL, 3: Placement.ZIGZAG}
"""Placement by Tile_Connection; any other number places nothing."""

SRAM_RESISTANCE_OHM = 1.6e6
"""Resistance that MNSIM 2.0 gives both states of an SRAM cell, whatever the file says."""

USER = -1
"""DAC_Choice and ADC_Choice that stand for the values given in the file."""


def sections() -> dict[str, dict[str, str]]:
    """Every section's keys with their defaults, in MNSIM's order."""
    found: dict[str, dict[str, str]] = {}
    for line in DEFAULTS.strip().splitlines():
        if line.startswith("["):
            keys = found.setdefault(line.strip("[]"), {})
        else:
            keys.update(item.partition("=")[::2] for item in line.split())
    return found


def without_effect(section: str) -> dict[str, str]:
    """Why each key of a section that decides nothing does so."""
    return {key: why for why, keys in WITHOUT_EFFECT.get(section, {}).items() for key in keys.split()}


def sources() -> dict[str, str]:
    """Key by the path of the field that comes from it."""
    lines = (line.split() for line in SOURCES.strip().splitlines())
    return {f"{node}.{name}": key for node, *pairs in lines for name, key in (p.split("=") for p in pairs)}
