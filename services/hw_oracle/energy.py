"""Area, power and energy of a layer from its tiles and its time.

Equations: MNSIM 2.0, Area_Model, Power_Model and Energy_Model. All tiles of a layer are charged alike, as if
full, and each module's energy is its power times the time it works. Links cost no energy there.
"""

from __future__ import annotations

from dataclasses import fields

from services.common.layers import Layer, Pool2d
from services.hw_oracle.buffer import sram
from services.hw_oracle.digital import adder
from services.hw_oracle.mapping import LayerMapping
from services.hw_oracle.tile import Tile, make_tile
from services.hw_oracle.types import (
    AreaBreakdown,
    ChipConfig,
    EnergyBreakdown,
    LatencyBreakdown,
    PowerBreakdown,
)


def network_tile(chip: ChipConfig, input_buffer_kb: float, output_buffer_kb: float) -> Tile:
    """Tile with the buffers that the chip sets, else those that the network needs.

    Raises
    ------
    InvalidChip
        A derived buffer is smaller than any buffer as wide as the chip's.
    """
    config = chip.buffer
    sizes_kb = (
        config.input_size_kb or input_buffer_kb,
        config.output_size_kb or output_buffer_kb,
    )
    input_buffer, output_buffer = (sram(config.technology_nm, config.width_bits, size) for size in sizes_kb)
    return make_tile(chip, input_buffer, output_buffer)


def layer_power(layer: Layer, mapped: LayerMapping, tile: Tile) -> PowerBreakdown:
    """Power of all tiles of a layer while all their modules work."""
    if isinstance(layer, Pool2d):
        return tile.pooling_power()
    if not mapped.tiles:
        return PowerBreakdown()
    power = tile.power(mapped.pes_per_tile, mapped.rows_used, mapped.columns_used, mapped.groups_used)
    return power.times(mapped.tiles)


def layer_energy(power: PowerBreakdown, latency: LatencyBreakdown) -> EnergyBreakdown:
    """Energy module by module: W x ns = nJ."""
    modules = [f.name.removesuffix("_nj") for f in fields(EnergyBreakdown)]
    return EnergyBreakdown(
        **{f"{m}_nj": getattr(power, f"{m}_w") * getattr(latency, f"{m}_ns") for m in modules}
    )


def accumulator(
    chip: ChipConfig, buffer_kb: float, adders: int, adder_bits: int
) -> tuple[AreaBreakdown, PowerBreakdown, EnergyBreakdown]:
    """Adders and buffer of the accumulator that a network needs; no total holds them.

    The energy is MNSIM 2.0's: one clock cycle of the adders, in microseconds: microjoules booked as
    nanojoules.
    """
    config = chip.buffer
    buffer = sram(config.technology_nm, config.width_bits, config.input_size_kb or buffer_kb)
    unit = adder(chip.digital, adder_bits)
    return (
        AreaBreakdown(adder_um2=adders * unit.area_um2, buffer_um2=buffer.area_um2),
        PowerBreakdown(
            adder_w=adders * unit.power_w,
            buffer_read_w=buffer.read_power_w,
            buffer_write_w=buffer.write_power_w,
        ),
        EnergyBreakdown(adder_nj=adders * unit.power_w / chip.clock_mhz),
    )
