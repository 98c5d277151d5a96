"""How long each layer works, by module and by output point: `services.hw_oracle.latency`, compiled."""

from __future__ import annotations

from typing import Any

from services.hw_oracle.buffer import ACCESS_NS
from services.hw_oracle.compiled.jit import part
from services.hw_oracle.compiled.records import (
    CONCAT,
    CONV2D,
    LATENCY_MODULES,
    LINEAR,
    MULTIPLY,
    NO_PIPELINE,
    POOL2D,
    WINDOW,
)
from services.hw_oracle.compiled.shapes import shape_of, source_bits
from services.hw_oracle.digital import ELEMENTWISE_NS, POOLING_STEP_NS

(
    CROSSBAR, DAC, ADC, ADDER, SHIFT_REGISTER, INPUT_REGISTER, OUTPUT_REGISTER, INPUT_DEMUX, OUTPUT_MUX,
    JOINT_MODULE, ELEMENTWISE, POOLING, BUFFER_READ, BUFFER_WRITE, INTRA_TILE, TILE_MERGE, TILE_TRANSFER,
) = range(len(LATENCY_MODULES))  # fmt: skip


@part
def time_layer(image: Any, layers: Any, inputs: Any, costs: Any, index: int, chip: Any, modules: Any) -> None:
    """Fill in a layer's four durations of a point by its place, and its modules' times over all points."""
    layer, cost = layers[index], costs[index]
    channels, _, width = shape_of(image, costs, inputs[layer.first_input])
    modules[:] = 0.0
    if layer.kind == CONV2D or layer.kind == LINEAR:
        _matrix_point(layer, cost, chip, modules)
    elif layer.kind == POOL2D:
        _pooling_point(layer, cost, channels, chip, modules)
    elif layer.kind != CONCAT:
        _elementwise_point(image, layers, inputs, costs, index, chip, modules)
    point_ns = 0.0
    for m in range(len(modules)):
        point_ns += modules[m]
    if layer.kind == CONV2D or layer.kind == LINEAR:
        point_ns -= modules[BUFFER_READ]  # the merge holds it already; a pooling unit pays it twice
    points = cost.height * cost.width
    for m in range(len(modules)):
        modules[m] *= points
    cost.corner_ns = cost.first_column_ns = cost.first_row_ns = cost.inside_ns = point_ns
    if layer.kind == LINEAR:
        move_ns = _access_ns(cost.rows_used * layer.input_bits, chip)
        cost.corner_ns += 2 * move_ns
        modules[BUFFER_WRITE] += move_ns
        modules[BUFFER_READ] += move_ns
    elif layer.kind == CONV2D:
        held = cost.rows_used // (layer.kernel_size * layer.kernel_size)
        _line_buffer(layer, cost, held, width, chip, modules)
    elif layer.kind == POOL2D:
        _line_buffer(layer, cost, channels, width, chip, modules)


@part
def _access_ns(bits: int, chip: Any) -> float:
    return -(-bits // chip.width_bits) * ACCESS_NS


@part
def _levels(count: int) -> int:
    """Levels of a binary tree over `count` leaves."""
    levels, rest = 0, count - 1
    while rest > 0:
        rest >>= 1
        levels += 1
    return levels


@part
def _matrix_point(layer: Any, cost: Any, chip: Any, modules: Any) -> None:
    columns, pes, clock_ns = cost.columns_used, cost.pes_per_tile, chip.clock_ns
    column_passes = -(-columns // chip.adcs)
    passes = -(-cost.rows_used // (chip.dacs * chip.subarrays)) * column_passes
    cycles = passes * -(-layer.input_bits // chip.dac_bits)
    joins, links = _levels(pes), _levels(chip.tile_pes)
    joined_bits = chip.adc_bits + joins
    link_bits = (links * joined_bits - joins * (joins + 1) / 2) * columns
    merged_bits = columns * pes * layer.output_bits
    read_ns = _access_ns(merged_bits, chip)
    hop_ns = clock_ns + merged_bits / chip.inter_tile_gbps
    modules[CROSSBAR] = cycles * chip.crossbar_ns
    modules[DAC] = cycles * chip.dac_ns
    modules[ADC] = cycles * chip.adc_ns
    modules[ADDER] = column_passes * _levels(chip.pe_groups) * clock_ns
    modules[SHIFT_REGISTER] = cycles * clock_ns
    modules[INPUT_REGISTER] = (passes + cycles) * clock_ns
    modules[OUTPUT_REGISTER] = column_passes * clock_ns
    modules[INPUT_DEMUX] = cycles * chip.demux_ns
    modules[OUTPUT_MUX] = cycles * chip.mux_ns
    modules[JOINT_MODULE] = joins * clock_ns
    modules[BUFFER_READ] = read_ns
    modules[BUFFER_WRITE] = _access_ns(joined_bits * columns * pes, chip)
    modules[INTRA_TILE] = link_bits / chip.intra_tile_gbps
    modules[TILE_MERGE] = read_ns + cost.merge_distance_hops * hop_ns
    moved_bits = cost.channels * layer.output_bits
    modules[TILE_TRANSFER] = cost.transfer_distance_hops * moved_bits / chip.inter_tile_gbps


@part
def _pooling_point(layer: Any, cost: Any, channels: int, chip: Any, modules: Any) -> None:
    bits = channels * layer.output_bits
    window = layer.kernel_size * layer.kernel_size
    steps = -(-channels // chip.pool_units) * -(-window // chip.pool_window)
    move_ns = _access_ns(bits, chip)
    modules[POOLING] = steps * POOLING_STEP_NS
    modules[BUFFER_READ] = modules[BUFFER_WRITE] = modules[TILE_MERGE] = move_ns
    modules[TILE_TRANSFER] = cost.transfer_distance_hops * bits / chip.inter_tile_gbps


@part
def _elementwise_point(
    image: Any, layers: Any, inputs: Any, costs: Any, index: int, chip: Any, modules: Any
) -> None:
    layer, cost = layers[index], costs[index]
    value_bits = cost.value_bits
    if layer.kind == MULTIPLY and chip.pipeline != NO_PIPELINE:
        # MNSIM 2.0 looks at the largest map here; the product has its height and width
        for j in range(layer.first_input, layer.first_input + layer.inputs):
            _, height, width = shape_of(image, costs, inputs[j])
            if height == cost.height and width == cost.width:
                value_bits = source_bits(layers, costs, index, inputs[j])
                break
    bits = value_bits * cost.channels
    move_ns = _access_ns(layer.inputs * bits, chip)
    modules[ELEMENTWISE] = ELEMENTWISE_NS
    modules[BUFFER_READ] = modules[BUFFER_WRITE] = move_ns
    modules[TILE_TRANSFER] = cost.transfer_distance_hops * bits / chip.inter_tile_gbps


@part
def _line_buffer(layer: Any, cost: Any, channels: int, width: int, chip: Any, modules: Any) -> None:
    """Add the writing of new pixels to an input buffer, and the reading of the moved window."""
    kernel, stride = layer.kernel_size, layer.stride
    inner = max(kernel - layer.padding, 0)  # side of the first window that is no padding
    pixel = channels * layer.input_bits
    if chip.pipeline == WINDOW:
        corner = _access_ns(pixel * inner * inner, chip)
        first_column = _access_ns(pixel * stride * inner, chip)
        first_row = _access_ns(pixel * stride * (stride if layer.kind == POOL2D else kernel), chip)
        inside = _access_ns(pixel * stride * stride, chip)
    else:
        corner = _access_ns(pixel * (width * max(inner - 1, 0) + inner), chip)
        first_column = _access_ns(pixel * (width * (stride - 1) + inner), chip)
        first_row = inside = _access_ns(pixel * stride, chip)
    window = _access_ns(pixel * kernel * kernel, chip)
    step = _access_ns(pixel * stride * kernel, chip)
    down, along = cost.height - 1, cost.width - 1
    modules[BUFFER_WRITE] += corner + down * first_column + along * first_row + down * along * inside
    modules[BUFFER_READ] += window + down * window + along * step + down * along * step
    cost.corner_ns += corner + window
    cost.first_column_ns += first_column + window
    cost.first_row_ns += first_row + step
    cost.inside_ns += inside + step
