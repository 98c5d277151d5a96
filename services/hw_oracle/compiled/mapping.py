"""Weights over PEs and tiles, and the buffers that follow: `services.hw_oracle.mapping`, compiled."""

from __future__ import annotations

from typing import Any

from services.hw_oracle import buffer
from services.hw_oracle.compiled.jit import part
from services.hw_oracle.compiled.records import ADD, CONCAT, CONV2D, LINEAR, OK, POOL2D, REFER
from services.hw_oracle.compiled.shapes import shape_of

power_of_two_kb = part(buffer.power_of_two_kb)

MOST_PES = 2.0**40
"""More PEs than any chip has."""


@part
def map_layers(image: Any, layers: Any, inputs: Any, costs: Any, chip: Any, total: Any) -> int:
    """Fill in what each layer takes of the chip, and the network's buffer sizes."""
    tiles, pes, crossbars = 0, 0, 0
    total.input_buffer_kb, total.output_buffer_kb, total.accumulator_buffer_kb = 0.0, 0.0, 0.0
    total.accumulator_adders, total.accumulator_adder_bits = 0, 8
    for i in range(len(layers)):
        layer, cost = layers[i], costs[i]
        cost.first_tile = tiles
        cost.pes_across = cost.pes_down = cost.pes = cost.tiles = cost.pes_per_tile = 0
        cost.crossbars = cost.rows_used = cost.columns_used = cost.groups_used = 0
        if layer.kind == POOL2D:
            cost.pes_across = cost.pes_down = cost.pes = cost.tiles = cost.pes_per_tile = 1
        elif layer.kind == CONV2D or layer.kind == LINEAR:
            channels, height, width = shape_of(image, costs, inputs[layer.first_input])
            if layer.kind == CONV2D:
                taken = _spread(layer, cost, channels, layer.kernel_size * layer.kernel_size, chip)
                values = float(width) * layer.kernel_size * channels
            else:
                elements = channels * height * width
                taken = _spread(layer, cost, elements, 1, chip)
                values = float(elements)
            if not taken:
                return REFER
            buffer_kb = power_of_two_kb(values * layer.input_bits / 8 / cost.pes)
            total.input_buffer_kb = max(total.input_buffer_kb, buffer_kb)
            out_bytes = cost.channels * layer.output_bits / 8
            buffer_kb = power_of_two_kb(2 * out_bytes / cost.tiles)
            total.output_buffer_kb = max(total.output_buffer_kb, buffer_kb)
        elif layer.kind != CONCAT:
            values_joined = cost.channels * layer.inputs
            total.accumulator_buffer_kb += power_of_two_kb(values_joined * cost.value_bits / 8)
            total.accumulator_adder_bits = max(total.accumulator_adder_bits, cost.value_bits)
            if layer.kind == ADD:
                total.accumulator_adders += values_joined // 2
        tiles += cost.tiles
        pes += cost.pes
        crossbars += cost.crossbars
    total.tiles, total.pes, total.crossbars = tiles, pes, crossbars
    return OK if tiles <= chip.tiles else REFER


@part
def _spread(layer: Any, cost: Any, in_channels: int, window: int, chip: Any) -> bool:
    """Spread a layer's weights; False where the chip cannot hold them."""
    slices = layer.weight_bits - chip.differential
    if window > chip.rows or slices < 1:
        return False
    held = chip.rows // window
    across, down, rows, columns = _split(in_channels, cost.channels, 1, held, chip.columns)
    if layer.groups > 1 and chip.packed:
        by_group = _split(in_channels, cost.channels, layer.groups, held, chip.columns)
        if by_group[0] * by_group[1] <= across * down:
            across, down, rows, columns = by_group
    across *= -(-slices // chip.pe_groups)
    if float(across) * float(down) > MOST_PES:
        return False
    cost.pes_across, cost.pes_down, cost.pes = across, down, across * down
    cost.tiles = -(-cost.pes // chip.tile_pes)
    cost.pes_per_tile = min(cost.pes, chip.tile_pes)
    cost.crossbars = cost.pes * chip.crossbars
    cost.rows_used, cost.columns_used = rows * window, columns
    cost.groups_used = min(slices, chip.pe_groups)
    return True


@part
def _split(inputs: int, outputs: int, groups: int, held: int, columns: int) -> tuple[int, int, int, int]:
    of_inputs, of_outputs = inputs // groups, outputs // groups
    packed = max(1, min(groups, held // of_inputs, columns // of_outputs))
    across = -(-groups // packed) * -(-of_outputs // columns)
    down = -(-of_inputs // held)
    return across, down, min(held, packed * of_inputs), min(columns, packed * of_outputs)
