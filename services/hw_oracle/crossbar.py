"""The crossbar: an array of cells. Equations and constants: MNSIM 2.0, Hardware_Model/Crossbar.py."""

from __future__ import annotations

from services.hw_oracle.device import mean_square_voltage_v2, read_power_w
from services.hw_oracle.types import CrossbarConfig, DeviceConfig, DeviceKind, PimType

ANALOG_DRIVER_UM2 = 1150.0
"""Area of a row's driver of analog levels, in any technology."""

DIGITAL_DRIVER_UM2 = 7.3 * 2.7 + 9.5 * 3.8
"""Area of a row's digital driver at 65 nm; scales with the square of the technology."""


def cell_area_um2(device: DeviceConfig, passive: bool) -> float:
    """Area of a cell: as given, else 12 F**2 (passive 4 F**2), or 5 um2 for SRAM."""
    if device.cell_area_um2 is not None:
        return device.cell_area_um2
    if device.kind is DeviceKind.SRAM:
        return 5.0
    return (4 if passive else 12) * (device.technology_nm * 1e-3) ** 2


def area_um2(crossbar: CrossbarConfig, pim_type: PimType) -> float:
    """Area of cells and row drivers; where the cell's area is derived it includes its share of drivers."""
    cells = crossbar.rows * crossbar.columns * cell_area_um2(crossbar.device, crossbar.passive)
    if crossbar.device.cell_area_um2 is None:
        return cells
    if pim_type is PimType.ANALOG:
        return cells + crossbar.rows * ANALOG_DRIVER_UM2
    return cells + crossbar.rows * DIGITAL_DRIVER_UM2 * (crossbar.transistor_nm / 65) ** 2


def read_latency_ns(crossbar: CrossbarConfig) -> float:
    """Time of one read: the cell's, and a fit of the wires' delay (in picoseconds) over the array's size."""
    size = crossbar.rows * crossbar.columns / 8192
    wire_ps = 2e-4 * size**2 + 5e-6 * size + 4e-14
    return crossbar.device.read_latency_ns + 1e-3 * wire_ps


def power_w(crossbar: CrossbarConfig, rows: int, columns: int) -> float:
    """Power while `rows` x `columns` cells are read; a passive array's other columns are half selected."""
    idle = rows * (crossbar.columns - columns)
    return rows * columns * read_power_w(crossbar.device) + idle * half_selected_power_w(crossbar)


def half_selected_power_w(crossbar: CrossbarConfig) -> float:
    """Mean power of a cell of a row that is read, in a column that is not; none behind a transistor."""
    device = crossbar.device
    return 0.25 * mean_square_voltage_v2(device) / device.high_resistance_ohm if crossbar.passive else 0.0
