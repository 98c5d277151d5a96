"""Digital units of PEs and tiles, multiplexers and the pooling unit.

Constants: MNSIM 2.0, Hardware_Model (Adder, ShiftReg, Reg, JointModule, Pooling, PE); synthesis results at
the technology named, scaled with its square.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from services.hw_oracle.types import DigitalConfig, PoolingConfig

ADDER_BIT_UM2 = ((28, 0.10976), (45, 0.2835), (55, 0.4235), (65, 1.42))
"""Area of an adder's bit up to each technology (nm); above, 2.366."""

# Area (um2) and power (W) of a unit at 65 nm; the pooling unit's for 64 channels and a window of 9.
SHIFT_REGISTER = (1.42, 8.1e-7)
REGISTER = (1.4256, 1.88e-8)
JOINT_MODULE = (353.76, 2.64e-4)
POOLING = (91917.1562, 3.082e-3)

MUX_TRANSISTORS = ((2, 8), (4, 24), (8, 72), (16, 216), (32, 648))
"""Transistors of a multiplexer up to each factor; above, 1944."""
DEMUX_STAGE_NS = 0.27933
"""Delay of a demultiplexer's stage of factor 8."""
MUX_STAGE_NS = 0.032744
"""Delay of a multiplexer's stage of factor 8."""
POOLING_STEP_NS = 100.0
"""Time in which the pooling unit reduces one window of as many channels as it has units."""
ELEMENTWISE_NS = 10.0
"""Time in which add and multiply make one output point, at any clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Area and power of one unit."""

    area_um2: float
    power_w: float


def adder(digital: DigitalConfig, bits: int) -> Unit:
    """Adder of `bits` bits; values given in the configuration are whole adders."""
    technology_nm = digital.adder_technology_nm
    bit_area = next((area for limit, area in ADDER_BIT_UM2 if technology_nm <= limit), 2.366)
    bit_power = 3e-7 if 55 < technology_nm <= 65 else 2.5e-9
    return _unit((bit_area * bits, bit_power * bits), 65, digital.adder_area_um2, digital.adder_power_w)


def shift_register(digital: DigitalConfig) -> Unit:
    """Shift register behind each ADC."""
    return _unit(
        SHIFT_REGISTER,
        digital.shift_register_technology_nm,
        digital.shift_register_area_um2,
        digital.shift_register_power_w,
    )


def register(digital: DigitalConfig) -> Unit:
    """8-bit register, before each DAC and behind each ADC."""
    return _unit(
        REGISTER, digital.register_technology_nm, digital.register_area_um2, digital.register_power_w
    )


def joint_module(digital: DigitalConfig) -> Unit:
    """8-bit joint module."""
    return _unit(
        JOINT_MODULE,
        digital.joint_module_technology_nm,
        digital.joint_module_area_um2,
        digital.joint_module_power_w,
    )


def pooling_unit(pooling: PoolingConfig) -> Unit:
    """Pooling unit of a tile; at 65 nm MNSIM 2.0 knows a window of 9 only, and takes others to be free."""
    if pooling.technology_nm != 65:
        unit = _unit(POOLING, pooling.technology_nm, None, None)
        return Unit(area_um2=unit.area_um2 * pooling.units / 64, power_w=unit.power_w)
    area, power = POOLING if pooling.window == 9 else (0.0, 0.0)
    return Unit(area_um2=area, power_w=power)


def multiplexer(factor: int, transistor_nm: float) -> Unit:
    """Multiplexer or demultiplexer between one and `factor` lines."""
    transistors = next((count for limit, count in MUX_TRANSISTORS if factor <= limit), 1944)
    return Unit(area_um2=transistors * 10 * (transistor_nm * 1e-3) ** 2, power_w=transistors * 1.2e-8)


def multiplexer_stages(factor: int) -> int:
    """Stages in series: one more than the number of base-8 digits of `factor`."""
    stages = 2
    while factor >= 8:
        factor //= 8
        stages += 1
    return stages


def pooling_latency_ns(pooling: PoolingConfig, channels: int, kernel_size: int) -> float:
    """Time to make one output point of `channels` channels."""
    return POOLING_STEP_NS * ceil(channels / pooling.units) * ceil(kernel_size**2 / pooling.window)


def _unit(at_65: tuple[float, float], nm: float, area_um2: float | None, power_w: float | None) -> Unit:
    scale = (nm / 65) ** 2
    return Unit(
        area_um2=at_65[0] * scale if area_um2 is None else area_um2,
        power_w=at_65[1] * scale if power_w is None else power_w,
    )
