"""Power, energy and area of one layer, term by term, for `services.hw_oracle.explain`."""

from __future__ import annotations

from dataclasses import fields

from services.common.layers import Conv2d, Linear
from services.hw_oracle import crossbar
from services.hw_oracle.crossbar import ANALOG_DRIVER_UM2, DIGITAL_DRIVER_UM2
from services.hw_oracle.device import (
    HIGH_RESISTANCE_FRAC,
    ON_INPUT_FRAC,
    mean_square_voltage_v2,
    read_power_w,
)
from services.hw_oracle.mapping import buffers_kb
from services.hw_oracle.tile import joints
from services.hw_oracle.types import (
    AreaBreakdown,
    CrossbarConfig,
    DeviceKind,
    EnergyBreakdown,
    PimType,
    PowerBreakdown,
)
from services.hw_oracle.worked import Worked
from services.hw_oracle.worksheet import Worksheet

_PE_UNITS = ("adder", "shift_register", "register", "demux", "mux")
_TILE_UNITS = ("joint_module", "pooling")


def add_pe(sheet: Worksheet, worked: Worked) -> None:
    """Add what a PE is made of."""
    pe, array, add = worked.tile.pe, worked.tile.pe.config.crossbar, sheet.add
    sheet.section("a PE")
    cell, rows = _cell(array), ""
    if array.device.cell_area_um2 is not None:  # else a cell's area includes its share of the drivers
        rows = f" + crossbar.rows * {ANALOG_DRIVER_UM2:g}"
        if pe.config.pim_type is PimType.DIGITAL:
            rows = f" + crossbar.rows * {DIGITAL_DRIVER_UM2:.12g} * (crossbar.transistor_nm / 65)**2"
    add("cell", "cell_um2", cell, crossbar.cell_area_um2(array.device, array.passive))
    add("crossbar: cells, drivers", "array_um2", f"crossbar.rows * crossbar.columns * cell_um2{rows}",
        pe.crossbar_area_um2)  # fmt: skip
    add("subarrays", "subarrays", "crossbar.rows / crossbar.subarray_rows", array.subarrays)
    add("rows that share a DAC", "row_factor", "ceil(crossbar.subarray_rows / pe.dacs)", pe.row_factor)
    adcs, shared = "pe.adcs", " * 2" if pe.config.digital_subtraction else ""
    if pe.config.adcs is None:  # what fits along the crossbar's side
        side = "ceil(sqrt(array_um2) * (1 + pe.differential) / sqrt(adc.area_um2))"
        adcs = f"min({side}{shared}, crossbar.columns)"
    add("ADCs of a subarray", "adcs", adcs, pe.adcs)
    add(
        "columns that share an ADC",
        "column_factor",
        f"ceil(crossbar.columns / adcs{shared})",
        pe.column_factor,
    )


def add_units(sheet: Worksheet, worked: Worked, index: int) -> None:
    """Add what single units cost: synthesis results, and tables of SRAM by a buffer's size."""
    tile, pe, mapping, config = worked.tile, worked.tile.pe, worked.mapping, worked.chip.buffer
    sheet.section("single units")
    if isinstance(layer := worked.network.layers[index], Conv2d | Linear):
        values = "in_width * kernel_size * in_channels" if isinstance(layer, Conv2d) else "in_channels"
        needed_kb = buffers_kb(worked.network, index, mapping.layers[index])
        in_bytes, out_bytes = f"{values} * input_bits / 8 / pes", "2 * out_channels * output_bits / 8 / tiles"
        sheet.add(
            "input buffer it needs", "needed_input_kb", f"power_of_two({in_bytes}) / 1024", needed_kb[0]
        )
        sheet.add(
            "output buffer it needs", "needed_output_kb", f"power_of_two({out_bytes}) / 1024", needed_kb[1]
        )
    for name, set_kb, most_kb, buffer in (
        ("input_buffer", config.input_size_kb, mapping.input_buffer_kb, tile.input_buffer),
        ("output_buffer", config.output_size_kb, mapping.output_buffer_kb, tile.output_buffer),
    ):
        words = name.replace("_", " ")
        size = f"buffer.{name.removesuffix('_buffer')}_size_kb" if set_kb else ""
        sheet.add(
            f"{words}{'' if set_kb else ', for all layers'}",
            f"{name}_kb",
            size,
            set_kb or most_kb,
        )
        sheet.add(f"{words}, area", f"{name}_um2", "", buffer.area_um2)
        sheet.add(f"{words}, read", f"{name}_read_w", "", buffer.read_power_w)
        sheet.add(f"{words}, write", f"{name}_write_w", "", buffer.write_power_w)
    for owner, names in ((pe, _PE_UNITS), (tile, _TILE_UNITS)):
        for name in names:
            unit, words = getattr(owner, name), name.replace("_", " ")
            sheet.add(f"{words}, area", f"{name}_unit_um2", "", unit.area_um2)
            sheet.add(f"{words}, power", f"{name}_unit_w", "", unit.power_w)


def add_power(sheet: Worksheet, worked: Worked, index: int, power: PowerBreakdown) -> None:
    """Add the power of each module while it works."""
    pe, mapped, add = worked.tile.pe, worked.mapping.layers[index], sheet.add
    sheet.section("power, while it works")
    if not _is_matrix(worked, index):
        add("pooling", "pooling_w", "pooling_unit_w", power.pooling_w)
        add("buffer read", "buffer_read_w", "output_buffer_read_w", power.buffer_read_w)
        add("buffer write", "buffer_write_w", "output_buffer_write_w", power.buffer_write_w)
        add("power", "power_w", "pooling_w + buffer_read_w + buffer_write_w", power.total_w)
        return
    array, rows, columns, groups = (
        pe.config.crossbar,
        mapped.rows_used,
        mapped.columns_used,
        mapped.groups_used,
    )
    square = f"{1 - ON_INPUT_FRAC:g} * device.off_voltage_v**2 + {ON_INPUT_FRAC:g} * device.on_voltage_v**2"
    high, low = HIGH_RESISTANCE_FRAC, 1 - HIGH_RESISTANCE_FRAC
    cell = f"mean_v2 * ({high:g} / device.high_resistance_ohm + {low:g} / device.low_resistance_ohm)"
    cells, subarrays = "rows_used * columns_used * cell_w", ""
    if array.passive:
        cells += (
            " + 0.25 * rows_used * (crossbar.columns - columns_used) * mean_v2 / device.high_resistance_ohm"
        )
    if pe.config.pim_type is PimType.DIGITAL:
        subarrays = " * subarrays"
    dacs, adcs = pe.working_dacs(rows, groups), pe.working_adcs(columns, groups)
    add("read voltage, mean square", "mean_v2", square, mean_square_voltage_v2(array.device))
    add("cell, mean", "cell_w", cell, read_power_w(array.device))
    add("cells of a crossbar", "cells_w", cells, crossbar.power_w(array, rows, columns))
    add("DACs of a PE at once", "dacs_on", "groups_used * ceil(rows_used / row_factor)", dacs)
    add(
        "ADCs of a PE at once",
        "adcs_on",
        f"groups_used * ceil(columns_used / column_factor){subarrays}",
        adcs,
    )
    sheet.give(pes_on=mapped.tiles * mapped.pes_per_tile)
    pairs = "groups_used * (1 + pe.differential)"
    add(
        "crossbar", "crossbar_w", f"pes_on * {pairs} * cells_w / row_factor / column_factor", power.crossbar_w
    )
    add("DAC", "dac_w", "pes_on * dacs_on * dac.power_w", power.dac_w)
    add("ADC", "adc_w", "pes_on * adcs_on * adc.power_w", power.adc_w)
    joining = f"(groups_used - 1) * ceil(columns_used / column_factor){subarrays}"
    add("adder", "adder_w", f"pes_on * {joining} * adder_unit_w", power.adder_w)
    add(
        "shift register",
        "shift_register_w",
        "pes_on * adcs_on * shift_register_unit_w",
        power.shift_register_w,
    )
    add("input register", "input_register_w", "pes_on * dacs_on * register_unit_w", power.input_register_w)
    add("output register", "output_register_w", "pes_on * adcs_on * register_unit_w", power.output_register_w)
    add("input demux", "input_demux_w", "pes_on * dacs_on * demux_unit_w", power.input_demux_w)
    add("output mux", "output_mux_w", "pes_on * adcs_on * mux_unit_w", power.output_mux_w)
    joined = "tiles * (pes_per_tile - 1) * ceil(columns_used / column_factor)"
    add("joint module", "joint_module_w", f"{joined} * joint_module_unit_w", power.joint_module_w)
    for way in ("read", "write"):
        equation = f"pes_on * input_buffer_{way}_w + tiles * output_buffer_{way}_w"
        add(f"buffer {way}", f"buffer_{way}_w", equation, getattr(power, f"buffer_{way}_w"))
    modules = [f.name for f in fields(PowerBreakdown) if f.name != "pooling_w"]
    add("power", "power_w", " + ".join(modules), power.total_w)


def add_energy(sheet: Worksheet, worked: Worked, index: int, energy: EnergyBreakdown) -> None:
    """Add power times busy time of each module."""
    matrix = _is_matrix(worked, index)
    sheet.section("energy of one inference")
    names = ["pooling_nj", "buffer_read_nj", "buffer_write_nj"]
    if matrix:
        names = [f.name for f in fields(EnergyBreakdown) if f.name != "pooling_nj"]
    for name in names:
        module = name.removesuffix("_nj")
        busy = f"points * {module}_ns"
        if module in ("buffer_read", "buffer_write"):
            way = module.removeprefix("buffer_")
            busy = f"(points * output_{way}_ns + {'read' if way == 'read' else 'written'}_ns)"
        value = getattr(energy, name)
        sheet.add(module.replace("_", " "), name, f"{module}_w * {busy}", value)
    counted = [name for name in names if name != "adder_nj"]
    words = "energy, as in MNSIM 2.0 without the adder's" if matrix else "energy"
    sheet.add(words, "energy_nj", " + ".join(counted), energy.total_nj)


def add_area(sheet: Worksheet, worked: Worked, index: int) -> None:
    """Add the area of each module, in all tiles of the layer."""
    tile, pe, add, tiles = worked.tile, worked.tile.pe, sheet.add, worked.mapping.layers[index].tiles
    area = tile.area().times(tiles)
    sheet.section("area of its tiles, all of them full")
    add("DACs of a PE", "all_dacs", "pe.groups * pe.dacs * subarrays", pe.all_dacs)
    add("ADCs of a PE", "all_adcs", "pe.groups * adcs * subarrays", pe.all_adcs)
    add("joint modules a column", "joints", "", joints(tile.pes))
    sheet.give(all_pes=tiles * tile.pes)
    adders = "adcs * subarrays * subarrays * (pe.groups - 1)"
    for name, equation in (
        ("crossbar", "all_pes * pe.groups * (1 + pe.differential) * array_um2"),
        ("dac", "all_pes * all_dacs * dac.area_um2"),
        ("adc", "all_pes * all_adcs * (adc.area_um2 + adc.logic_area_um2)"),
        ("adder", f"all_pes * {adders} * adder_unit_um2"),
        ("shift_register", "all_pes * all_adcs * shift_register_unit_um2"),
        ("input_register", "all_pes * all_dacs * register_unit_um2"),
        ("output_register", "all_pes * all_adcs * register_unit_um2"),
        ("input_demux", "all_pes * all_dacs * demux_unit_um2"),
        ("output_mux", "all_pes * all_adcs * mux_unit_um2"),
        ("joint_module", "tiles * all_adcs * joints * joint_module_unit_um2"),
        ("pooling", "tiles * pooling_unit_um2"),
        ("buffer", "all_pes * input_buffer_um2 + tiles * output_buffer_um2"),
    ):
        add(name.replace("_", " "), f"{name}_um2", equation, getattr(area, f"{name}_um2"))
    add("area", "area_um2", " + ".join(f.name for f in fields(AreaBreakdown)), area.total_um2)


def _cell(array: CrossbarConfig) -> str:
    if array.device.cell_area_um2 is not None:
        return "device.cell_area_um2"
    if array.device.kind is DeviceKind.SRAM:
        return "5"
    return f"{4 if array.passive else 12} * (device.technology_nm * 1e-3)**2"


def _is_matrix(worked: Worked, index: int) -> bool:
    return isinstance(worked.network.layers[index], Conv2d | Linear)
