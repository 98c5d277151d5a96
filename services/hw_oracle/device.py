"""The memory cell: what reading it costs. Equations and constants: MNSIM 2.0, Hardware_Model/Device.py."""

from __future__ import annotations

from services.hw_oracle.types import DeviceConfig

ON_INPUT_FRAC = 0.1
"""Share of the inputs at the last (on) voltage; the rest are at the first."""

HIGH_RESISTANCE_FRAC = 0.67
"""Share of the cells at the first (high) resistance; the rest are at the last."""


def mean_square_voltage_v2(device: DeviceConfig) -> float:
    """Mean square of the read voltage in volt squared, over the assumed inputs."""
    return (1 - ON_INPUT_FRAC) * device.off_voltage_v**2 + ON_INPUT_FRAC * device.on_voltage_v**2


def read_power_w(device: DeviceConfig) -> float:
    """Mean power of a cell while it is read: V2 / R, R the parallel mean of the two resistances."""
    conductance = HIGH_RESISTANCE_FRAC / device.high_resistance_ohm
    conductance += (1 - HIGH_RESISTANCE_FRAC) / device.low_resistance_ohm
    return mean_square_voltage_v2(device) * conductance
