"""The time of one layer, term by term, for `services.hw_oracle.explain`."""

from __future__ import annotations

from services.common.layers import Concat, Conv2d, Linear, Pool2d
from services.hw_oracle.buffer import ACCESS_NS
from services.hw_oracle.digital import DEMUX_STAGE_NS, ELEMENTWISE_NS, MUX_STAGE_NS, POOLING_STEP_NS
from services.hw_oracle.latency import MatrixWork, elementwise_bits, matrix_work
from services.hw_oracle.types import AdcConfig, AdcConversion, LayerCost, Pipeline
from services.hw_oracle.worked import Worked, awaited
from services.hw_oracle.worksheet import Worksheet

_MATRIX_POINT = (
    "crossbar_ns + dac_ns + adc_ns + input_demux_ns + output_mux_ns + shift_register_ns + input_register_ns"
    " + output_register_ns + adder_ns + joint_module_ns + intra_tile_ns + output_write_ns + tile_merge_ns"
    " + tile_transfer_ns"
)

_ROUNDING = 1e-9
"""Share of a time that is not told apart from 0: sums of thousands of points differ in their last digits."""


def add_time(sheet: Worksheet, worked: Worked, index: int, cost: LayerCost) -> None:
    """Add the terms of a layer's busy time, and of when it begins and finishes."""
    layer, shape, time = worked.network.layers[index], worked.network.shapes[index], worked.times[index]
    sheet.give(access_ns=ACCESS_NS, points=shape.points, height=shape.height, width=shape.width)
    sheet.give(input_bits=layer.bits.input_bits, output_bits=layer.bits.output_bits)
    sheet.give(merge_hops=cost.merge_distance_hops, transfer_hops=cost.transfer_distance_hops)
    busy = "points * point_ns"
    match layer:
        case Conv2d() | Linear():
            work = matrix_work(layer, worked.mapping.layers[index], worked.chip)
            _add_cycle(sheet, worked)
            _add_matrix_point(sheet, worked, index, work)
        case Pool2d():
            _add_pooling_point(sheet, worked, index)
        case Concat():
            busy = "0"
        case _:
            _add_elementwise_point(sheet, worked, index)
    if isinstance(layer, Conv2d | Linear | Pool2d):
        _add_input_buffer(sheet, worked, index)
        busy += " + written_ns + read_ns"
    sheet.section("the layer")
    sheet.add("busy", "busy_ns", busy, float(time.durations_ns.sum()))
    _add_span(sheet, worked, index, cost)


def _add_cycle(sheet: Worksheet, worked: Worked) -> None:
    pe, add = worked.tile.pe, sheet.add
    array = pe.config.crossbar
    sheet.section("one cycle of a PE")
    add("array", "array_size", "crossbar.rows * crossbar.columns / 8192", array.rows * array.columns / 8192)
    add(
        "crossbar read: cell, wires",
        "crossbar_read_ns",
        "device.read_latency_ns + 1e-3 * (2e-4 * array_size**2 + 5e-6 * array_size + 4e-14)",
        pe.crossbar_ns,
    )
    add("DAC conversion", "dac_conversion_ns", "(dac.bits + 2) / dac.rate_gsps", pe.dac_ns)
    add("ADC conversion", "adc_conversion_ns", f"{_adc_cycles(pe.config.adc)} / adc.rate_gsps", pe.adc_ns)
    add("select rows", "demux_select_ns", f"{DEMUX_STAGE_NS} * stages(row_factor)", pe.demux_ns)
    stages = "stages(ceil(crossbar.columns / adcs))"
    add("select columns", "mux_select_ns", f"{MUX_STAGE_NS} * {stages}", pe.mux_ns)
    add("clock", "clock_ns", "1e3 / clock_mhz", 1e3 / worked.chip.clock_mhz)


def _adc_cycles(adc: AdcConfig) -> str:
    if adc.bits == 1:
        return "1"
    return "2**adc.bits" if adc.conversion is AdcConversion.COUNTING else "(adc.bits + 2)"


def _add_matrix_point(sheet: Worksheet, worked: Worked, index: int, work: MatrixWork) -> None:
    point, add = worked.times[index].point, sheet.add
    sheet.section("one output point")
    passes, merged = "ceil(rows_used / (pe.dacs * subarrays)) * column_passes", "columns_used * pes_per_tile"
    links = "(ceil(log2(tile.pes)) * joined_bits - joins * (joins + 1) / 2) * columns_used"
    written, read = f"joined_bits * {merged} / buffer.width_bits", "merged_bits / buffer.width_bits"
    hop = "clock_ns + merged_bits / inter_tile_bandwidth_gbps"
    add("rounds of columns", "column_passes", "ceil(columns_used / adcs)", work.column_passes)
    add("passes: times of rows", "passes", passes, work.passes)
    add("cycles: times input slices", "cycles", "passes * ceil(input_bits / dac.bits)", work.cycles)
    add("crossbar", "crossbar_ns", "cycles * crossbar_read_ns", point.crossbar_ns)
    add("DAC", "dac_ns", "cycles * dac_conversion_ns", point.dac_ns)
    add("ADC", "adc_ns", "cycles * adc_conversion_ns", point.adc_ns)
    add("input demux", "input_demux_ns", "cycles * demux_select_ns", point.input_demux_ns)
    add("output mux", "output_mux_ns", "cycles * mux_select_ns", point.output_mux_ns)
    add("shift register", "shift_register_ns", "cycles * clock_ns", point.shift_register_ns)
    add("input register", "input_register_ns", "(passes + cycles) * clock_ns", point.input_register_ns)
    add("output register", "output_register_ns", "column_passes * clock_ns", point.output_register_ns)
    add("adder", "adder_ns", "column_passes * ceil(log2(pe.groups)) * clock_ns", point.adder_ns)
    add("levels of joint modules", "joins", "ceil(log2(pes_per_tile))", work.joins)
    add("joint module", "joint_module_ns", "joins * clock_ns", point.joint_module_ns)
    add("joined value", "joined_bits", "adc.bits + joins", work.joined_bits)
    add("on the tile's links", "link_bits", links, work.link_bits)
    add("intra tile", "intra_tile_ns", "link_bits / intra_tile_bandwidth_gbps", point.intra_tile_ns)
    add("output buffer, write", "output_write_ns", f"ceil({written}) * access_ns", point.buffer_write_ns)
    add("held by a tile", "merged_bits", f"{merged} * output_bits", work.merged_bits)
    add("output buffer, read", "output_read_ns", f"ceil({read}) * access_ns", point.buffer_read_ns)
    add("tile merge", "tile_merge_ns", f"output_read_ns + merge_hops * ({hop})", point.tile_merge_ns)
    _add_transfer(sheet, "out_channels * output_bits", point.tile_transfer_ns)
    add("one output point", "point_ns", _MATRIX_POINT, worked.times[index].point_ns)


def _add_pooling_point(sheet: Worksheet, worked: Worked, index: int) -> None:
    point, add = worked.times[index].point, sheet.add
    sheet.section("one output point")
    steps = "ceil(out_channels / pooling.units) * ceil(kernel_size**2 / pooling.window)"
    add("pooling", "pooling_ns", f"{POOLING_STEP_NS:g} * {steps}", point.pooling_ns)
    moved = "ceil(out_channels * output_bits / buffer.width_bits) * access_ns"
    add("output buffer, write", "output_write_ns", moved, point.buffer_write_ns)
    add("output buffer, read", "output_read_ns", moved, point.buffer_read_ns)
    add("tile merge", "tile_merge_ns", "output_read_ns", point.tile_merge_ns)
    _add_transfer(sheet, "out_channels * output_bits", point.tile_transfer_ns)
    parts = "pooling_ns + output_write_ns + output_read_ns + tile_merge_ns + tile_transfer_ns"
    add("one output point", "point_ns", parts, worked.times[index].point_ns)


def _add_elementwise_point(sheet: Worksheet, worked: Worked, index: int) -> None:
    layer, point, add = worked.network.layers[index], worked.times[index].point, sheet.add
    value_bits = elementwise_bits(worked.network, index, worked.mapping.output_bits, worked.chip)
    sheet.give(inputs=len(layer.inputs), value_bits=value_bits)
    sheet.section("one output point")
    add(layer.kind, "elementwise_ns", f"{ELEMENTWISE_NS:g}", point.elementwise_ns)
    moved = "ceil(inputs * out_channels * value_bits / buffer.width_bits) * access_ns"
    add("accumulator's buffer, write", "output_write_ns", moved, point.buffer_write_ns)
    add("accumulator's buffer, read", "output_read_ns", moved, point.buffer_read_ns)
    _add_transfer(sheet, "out_channels * value_bits", point.tile_transfer_ns)
    parts = "elementwise_ns + output_write_ns + output_read_ns + tile_transfer_ns"
    add("one output point", "point_ns", parts, worked.times[index].point_ns)


def _add_transfer(sheet: Worksheet, bits: str, value_ns: float) -> None:
    equation = f"transfer_hops * {bits} / inter_tile_bandwidth_gbps"
    sheet.add("tile transfer", "tile_transfer_ns", equation, value_ns)


def _add_input_buffer(sheet: Worksheet, worked: Worked, index: int) -> None:
    """Add the writing of new pixels, and the reading of moved windows, by the place of the output point."""
    layer, time, chip = worked.network.layers[index], worked.times[index], worked.chip
    shape, written, read = worked.network.shapes[index], time.written, time.read
    sheet.section("input buffer")

    def add(name: str, symbol: str, pixels: str, value_ns: float) -> None:
        sheet.add(name, symbol, f"ceil({pixels} * input_bits / buffer.width_bits) * access_ns", value_ns)

    if not isinstance(layer, Conv2d | Pool2d):
        add("write", "written_ns", "rows_used", written.corner)
        add("read", "read_ns", "rows_used", read.corner)
        return
    source = worked.network.shape_of(layer.inputs[0])
    sheet.give(stride=layer.stride, padding=layer.padding, in_width=source.width)
    held = "out_channels"
    if isinstance(layer, Conv2d):
        held = "channels_held"
        used = worked.mapping.layers[index].rows_used // layer.kernel_size**2
        sheet.add("input channels of a PE", held, "rows_used / kernel_size**2", used)
    inner = max(layer.kernel_size - layer.padding, 0)
    sheet.add("first window, unpadded", "inner", "max(kernel_size - padding, 0)", inner)
    if chip.pipeline is Pipeline.WINDOW:
        pixels = ["inner**2", "stride * inner", "stride * kernel_size", "stride**2"]
        pixels[2] = "stride**2" if isinstance(layer, Pool2d) else pixels[2]
    else:
        first, line = "(in_width * max(inner - 1, 0) + inner)", "(in_width * (stride - 1) + inner)"
        pixels = [first, line, "stride", "stride"]
    add("write, first point", "write_first_ns", f"{held} * {pixels[0]}", written.corner)
    add("write, first column", "write_column_ns", f"{held} * {pixels[1]}", written.first_column)
    add("write, first row", "write_row_ns", f"{held} * {pixels[2]}", written.first_row)
    add("write, elsewhere", "write_ns", f"{held} * {pixels[3]}", written.inside)
    parts = (
        "(height - 1) * write_column_ns + (width - 1) * write_row_ns + (height - 1) * (width - 1) * write_ns"
    )
    sheet.add("write", "written_ns", f"write_first_ns + {parts}", written.sum(shape))
    add("read, first column", "read_window_ns", f"{held} * kernel_size**2", read.corner)
    add("read, elsewhere", "read_step_ns", f"{held} * stride * kernel_size", read.inside)
    parts = "height * read_window_ns + height * (width - 1) * read_step_ns"
    sheet.add("read", "read_ns", parts, read.sum(shape))


def _add_span(sheet: Worksheet, worked: Worked, index: int, cost: LayerCost) -> None:
    """Add when the layer begins and finishes, and how much of that it waits for others."""
    read, begin = awaited(worked, index, 0), "begins at once"
    if read is not None:
        points = worked.network.shapes[read.layer].points
        begin = f"begins with layer {read.layer}'s point {read.point + 1:,} of {points:,}"
    sheet.add(begin, "begin_ns", "", cost.begin_ns)
    sheet.add("finishes, by recursion", "finish_ns", "", cost.finish_ns)
    span_ns = cost.finish_ns - cost.begin_ns
    busy_ns = float(worked.times[index].durations_ns.sum())
    waiting_ns = max(span_ns - busy_ns, 0.0)
    if waiting_ns < _ROUNDING * cost.finish_ns:
        waiting_ns = 0.0
    sheet.add("waits in between", "waiting_ns", "max(finish_ns - begin_ns - busy_ns, 0)", waiting_ns)
    occupancy = "busy_ns / (finish_ns - begin_ns)"
    if worked.chip.pipeline is Pipeline.NONE and busy_ns:
        occupancy = "1"  # as MNSIM 2.0 has it, add and multiply too
    elif cost.occupancy_frac in (0, 1):  # rounding, or a concat
        occupancy = f"{cost.occupancy_frac:g}"
    sheet.add("occupancy", "occupancy_frac", occupancy, cost.occupancy_frac)
