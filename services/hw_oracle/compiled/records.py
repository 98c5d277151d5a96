"""What the kernel reads and writes: arrays of records, one form for every way a network may arrive.

A network is a row of `LAYER` records and a row of input indices; a batch is the networks one after the
other. Numbers without a name of their own (kinds, modes) are the places of a tuple below.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from services.common.layers import LAYER_KINDS
from services.hw_oracle.types import EnergyBreakdown, LatencyBreakdown, Pipeline, PowerBreakdown

KINDS = tuple(LAYER_KINDS)
"""Names of layer kinds in the order of their numbers."""
CONV2D, LINEAR, POOL2D, ADD, MULTIPLY, CONCAT = map(
    KINDS.index, ("conv2d", "linear", "pool2d", "add", "multiply", "concat")
)

PIPELINES = tuple(Pipeline)
WINDOW, NO_PIPELINE = PIPELINES.index(Pipeline.WINDOW), PIPELINES.index(Pipeline.NONE)

OK, REFER = 0, 1
"""Status of a network: its numbers are right; or the reference has to say what is wrong with it."""

LATENCY_MODULES = tuple(f.name.removesuffix("_ns") for f in fields(LatencyBreakdown))
POWER_MODULES = tuple(f.name.removesuffix("_w") for f in fields(PowerBreakdown))
ENERGY_MODULES = tuple(f.name.removesuffix("_nj") for f in fields(EnergyBreakdown))


def _integers(names: str) -> list[tuple[str, type[np.int64]]]:
    return [(name, np.int64) for name in names.split()]


def _floats(names: str) -> list[tuple[str, type[np.float64]]]:
    return [(name, np.float64) for name in names.split()]


LAYER = np.dtype(
    _integers(
        "kind first_input inputs out_channels kernel_size stride padding groups "
        "input_bits weight_bits output_bits"
    )
)
"""One layer; it reads `inputs` indices from place `first_input` on. What a kind lacks is 0."""

COLUMNS = len(LAYER.names or ())
"""Numbers of a layer, all of one width."""

MAPPED = "pes_across pes_down pes tiles first_tile pes_per_tile crossbars rows_used columns_used groups_used"
TIMED = (
    "merge_distance_hops transfer_distance_hops begin_ns finish_ns occupancy_frac area_um2 power_w energy_nj"
)

LAYER_COST = np.dtype(
    _integers(MAPPED)
    + _floats(TIMED)
    # The rest is the kernel's own: shapes, bits of a value, where finish times lie, distances.
    + _integers(
        "channels height width value_bits finish_at column place own_place next_free "
        "read consumed leaves all_elementwise"
    )
    + _floats("own_u0 own_u1 own_v0 own_v1 to_u0 to_u1 to_v0 to_v1 first_to_accumulator to_accumulator")
    + _floats("corner_ns first_column_ns first_row_ns inside_ns")
)
"""What becomes of one layer; the first fields are those of `services.hw_oracle.types.LayerCost`."""

TOTALS = np.dtype(
    _integers("status tiles pes crossbars macs params points accumulator_adders accumulator_adder_bits")
    + _floats("latency_ns area_um2 power_w energy_nj input_buffer_kb output_buffer_kb accumulator_buffer_kb")
)
"""What becomes of one network."""

CHIP = np.dtype(
    _integers("rows columns subarrays dacs adcs pe_groups differential crossbars tile_pes tiles")
    + _integers("placed pipeline packed dac_bits adc_bits column_factor row_factor convert_subarrays")
    + _integers("width_bits pool_window pool_units smallest_row")
    + _floats("crossbar_ns dac_ns adc_ns demux_ns mux_ns clock_ns inter_tile_gbps intra_tile_gbps")
    + _floats("cell_w half_selected_w dac_w adc_w adder_w shift_register_w register_w demux_w mux_w")
    + _floats("joint_module_w pooling_w tile_um2 input_size_kb output_size_kb")
)
"""What the kernel needs of a chip; `smallest_row` is the least row of the SRAM table that is there."""
