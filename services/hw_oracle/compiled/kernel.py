"""The compiled chip model: what networks cost on a chip, one or a million of them in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from services.hw_oracle.buffer import SIZE_LIMITS_KB
from services.hw_oracle.compiled.jit import entry, part
from services.hw_oracle.compiled.latency import time_layer
from services.hw_oracle.compiled.mapping import map_layers
from services.hw_oracle.compiled.placement import measure_distances
from services.hw_oracle.compiled.records import (
    CONV2D,
    ENERGY_MODULES,
    LATENCY_MODULES,
    LINEAR,
    NO_PIPELINE,
    OK,
    POOL2D,
    POWER_MODULES,
    REFER,
)
from services.hw_oracle.compiled.schedule import place_layers, schedule_layer
from services.hw_oracle.compiled.shapes import derive_shapes
from services.hw_oracle.compiled.wire import BROKEN, read_network

(
    CROSSBAR, DAC, ADC, ADDER, SHIFT_REGISTER, INPUT_REGISTER, OUTPUT_REGISTER, INPUT_DEMUX, OUTPUT_MUX,
    JOINT_MODULE, POOLING, BUFFER_READ, BUFFER_WRITE,
) = range(len(POWER_MODULES))  # fmt: skip

TIMES = np.array([LATENCY_MODULES.index(module) for module in ENERGY_MODULES])
"""Place among the latency's modules of each of the energy's, which are those of the power."""

SRAM_LIMITS_KB = np.array(SIZE_LIMITS_KB, np.float64)


@part
def cost_network(
    image: Any, layers: Any, inputs: Any, costs: Any, latency: Any, power: Any, finish: Any,
    spare_at: int, chip: Any, cells: Any, sram: Any, total: Any,
) -> int:  # fmt: skip
    """Cost one network whose shapes are derived and that has been mapped.

    Parameters
    ----------
    image : (3,) int64
        Channels, height and width of the network's input.
    layers : (n,) LAYER
    inputs : (m,) int64
    costs : (n,) LAYER_COST
    latency, power : (n, modules) float64
        Of each layer by module, in ns and W.
    finish : float64
        Scratch, as `services.hw_oracle.compiled.schedule` has it.
    spare_at : int
    chip : CHIP
    cells : (4, tiles) float64
        As `services.hw_oracle.compiled.placement` has it.
    sram : (9, 3) float64
        Area in um2, read and write power in W of buffers by size.
    total : TOTALS
    """
    input_row = _sram_row(chip.input_size_kb, total.input_buffer_kb)
    output_row = _sram_row(chip.output_size_kb, total.output_buffer_kb)
    joint_row = _sram_row(chip.input_size_kb, total.accumulator_buffer_kb)
    for row in (input_row, output_row, joint_row):
        if 0 <= row < chip.smallest_row:
            return REFER
    measure_distances(layers, inputs, costs, chip, cells)
    tile_um2 = chip.tile_um2
    if input_row >= 0:
        tile_um2 += chip.tile_pes * sram[input_row, 0]
    if output_row >= 0:
        tile_um2 += sram[output_row, 0]
    total.latency_ns = total.area_um2 = total.power_w = total.energy_nj = 0.0
    for i in range(len(layers)):
        layer, cost, times, powers = layers[i], costs[i], latency[i], power[i]
        time_layer(image, layers, inputs, costs, i, chip, times)
        schedule_layer(layers, inputs, costs, i, chip, finish, spare_at)
        _power(layer, cost, chip, sram, input_row, output_row, powers)
        cost.area_um2 = cost.tiles * tile_um2
        cost.power_w = cost.energy_nj = 0.0
        for m in range(len(powers)):
            cost.power_w += powers[m]
            if m != ADDER:  # whose energy MNSIM 2.0 reports and does not total
                cost.energy_nj += powers[m] * times[TIMES[m]]
        cost.occupancy_frac = _occupancy_frac(cost, chip)
        if not cost.read:
            total.latency_ns = max(total.latency_ns, cost.finish_ns)
        total.area_um2 += cost.area_um2
        total.power_w += cost.power_w
        total.energy_nj += cost.energy_nj
    return OK


@part
def _sram_row(set_kb: float, needed_kb: float) -> int:
    """Row of the table for a buffer of the size set, else needed; -1 for no buffer."""
    size_kb = set_kb if set_kb != 0 else needed_kb
    if size_kb == 0:
        return -1
    row = 0
    for limit_kb in SRAM_LIMITS_KB:
        row += size_kb > limit_kb
    return row


@part
def _occupancy_frac(cost: Any, chip: Any) -> float:
    down, along = cost.height - 1, cost.width - 1
    busy_ns = cost.corner_ns + down * cost.first_column_ns
    busy_ns += along * cost.first_row_ns + down * along * cost.inside_ns
    span_ns = cost.finish_ns - cost.begin_ns
    if busy_ns == 0:
        return 0.0
    if chip.pipeline == NO_PIPELINE:
        busy_ns = span_ns
    return min(1.0, busy_ns / span_ns) if span_ns > 0 else 1.0


@part
def _power(layer: Any, cost: Any, chip: Any, sram: Any, input_row: int, output_row: int, powers: Any) -> None:
    """Fill in the power of all of a layer's tiles by module: `services.hw_oracle.tile` and `pe`."""
    powers[:] = 0.0
    tiles, pes = cost.tiles, 0
    if layer.kind == POOL2D:
        powers[POOLING] = chip.pooling_w
    elif layer.kind == CONV2D or layer.kind == LINEAR:
        groups, pes = cost.groups_used, cost.pes_per_tile
        inputs = groups * -(-cost.rows_used // chip.row_factor)
        per_group = -(-cost.columns_used // chip.column_factor)
        converted = per_group * chip.convert_subarrays
        outputs = groups * converted
        cells_w = cost.rows_used * cost.columns_used * chip.cell_w
        cells_w += cost.rows_used * (chip.columns - cost.columns_used) * chip.half_selected_w
        crossbars = groups * (1 + chip.differential)
        all_pes = tiles * pes
        powers[CROSSBAR] = all_pes * (crossbars * cells_w / chip.row_factor / chip.column_factor)
        powers[DAC] = all_pes * (inputs * chip.dac_w)
        powers[ADC] = all_pes * (outputs * chip.adc_w)
        powers[ADDER] = all_pes * ((groups - 1) * converted * chip.adder_w)
        powers[SHIFT_REGISTER] = all_pes * (outputs * chip.shift_register_w)
        powers[INPUT_REGISTER] = all_pes * (inputs * chip.register_w)
        powers[OUTPUT_REGISTER] = all_pes * (outputs * chip.register_w)
        powers[INPUT_DEMUX] = all_pes * (inputs * chip.demux_w)
        powers[OUTPUT_MUX] = all_pes * (outputs * chip.mux_w)
        powers[JOINT_MODULE] = tiles * ((pes - 1) * per_group * chip.joint_module_w)
    if output_row >= 0:
        powers[BUFFER_READ] += tiles * sram[output_row, 1]
        powers[BUFFER_WRITE] += tiles * sram[output_row, 2]
    if input_row >= 0:
        powers[BUFFER_READ] += tiles * pes * sram[input_row, 1]
        powers[BUFFER_WRITE] += tiles * pes * sram[input_row, 2]


STEP = 10**7
"""Work of one call: some hundredths of a second."""


def _make_cost_networks(sources: str) -> Callable[..., tuple[int, int]]:
    def cost_networks(
        data: Any, ends: Any, images: Any, starts: Any, layers: Any, matrix: Any, input_starts: Any,
        inputs: Any, costs: Any, latency: Any, power: Any, finish: Any, chips: Any, cells: Any, sram: Any,
        totals: Any, next_: int, most_work: int,
    ) -> tuple[int, int]:  # fmt: skip
        sources  # noqa: B018  # what the machine code was made of
        chip, most, done = chips[0], 0, 0
        for n in range(next_, len(images)):
            total, image = totals[n], images[n]
            if len(ends):
                begin = ends[n - 1] if n else 0
                count, read = read_network(data, begin, ends[n], image, matrix, inputs)
                if count == BROKEN:
                    total.status = REFER
                    continue
                own, sources_of = layers[:count], inputs[:read]
            else:
                own = layers[starts[n] : starts[n + 1]]
                sources_of = inputs[input_starts[n] : input_starts[n + 1]]
            mine = costs[: len(own)]
            total.status = derive_shapes(image, own, sources_of, mine, total)
            if total.status == OK:
                total.status = map_layers(image, own, sources_of, mine, chip, total)
            if total.status != OK:
                continue
            spare_at, room, work = place_layers(own, sources_of, mine)
            if work > most_work:
                total.status = REFER
                continue
            most = max(most, room)
            if room > len(finish):
                finish = np.empty(room)
            if chip.placed and total.tiles > cells.shape[1]:
                total.status = REFER
                continue
            total.status = cost_network(
                image, own, sources_of, mine, latency, power, finish[:room], spare_at, chip, cells,
                sram, total,
            )  # fmt: skip
            done += work
            if done > STEP:
                return most, n + 1
        return most, len(images)

    return cost_networks


cost_networks = entry(_make_cost_networks)
"""Cost networks one after the other; see `cost_network` for the arrays.

They come in one of two ways. As records: `starts` and `input_starts` say where each one's layers and inputs
begin, with the end of the last. Or as the messages of `services.hw_oracle.compiled.wire`, in `data` up to
each of `ends`: then each is read into `matrix`, the same memory as `layers`, and `inputs`, and its image into
`images`. `costs`, `latency` and `power` have room for the longest network; in the end they hold the last.

It begins with network number `next_`, leaves each of more than `most_work` to others, and ends early behind
the one by which it has done a `STEP` of work.

Returns
-------
int
    Values that `finish` needs for the largest network; with fewer, memory is taken meanwhile.
int
    The next network.
"""
