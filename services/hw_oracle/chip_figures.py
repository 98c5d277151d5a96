"""What follows from a chip alone: counts, areas and times, as the model derives them."""

from __future__ import annotations

from dataclasses import dataclass

from services.hw_oracle import crossbar
from services.hw_oracle.buffer import SIZE_LIMITS_KB, WIDTH_LIMITS_BITS, sram
from services.hw_oracle.tile import make_tile
from services.hw_oracle.types import ChipConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipFigures:
    """Figures of one chip.

    Parameters
    ----------
    tiles, pes, crossbars, cells : int
        Of the chip.
    crossbars_per_tile, crossbars_per_pe, cells_per_crossbar : int
    adcs_per_pe, dacs_per_pe : int
    columns_per_adc, rows_per_dac : int
        That share a converter, one after the other.
    adc_latency_ns, dac_latency_ns, read_latency_ns : float
        Of one conversion, and of one read of a crossbar.
    crossbar_power_w : float
        While all of its cells are read.
    cell_area_um2, crossbar_area_um2, pe_area_um2 : float
        The PE without its input buffer.
    tile_area_um2, chip_area_um2 : float
        With the buffers as configured; the smallest, where the network decides their size.
    """

    tiles: int
    pes: int
    crossbars: int
    cells: int
    crossbars_per_tile: int
    crossbars_per_pe: int
    cells_per_crossbar: int
    adcs_per_pe: int
    dacs_per_pe: int
    columns_per_adc: int
    rows_per_dac: int
    adc_latency_ns: float
    dac_latency_ns: float
    read_latency_ns: float
    crossbar_power_w: float
    cell_area_um2: float
    crossbar_area_um2: float
    pe_area_um2: float
    tile_area_um2: float
    chip_area_um2: float


def chip_figures(chip: ChipConfig) -> ChipFigures:
    """Derive the figures of a chip."""
    buffer, array = chip.buffer, chip.tile.pe.crossbar
    smallest_kb = SIZE_LIMITS_KB[buffer.width_bits > WIDTH_LIMITS_BITS[-1]]
    tile = make_tile(
        chip,
        *(
            sram(buffer.technology_nm, buffer.width_bits, size_kb or smallest_kb)
            for size_kb in (buffer.input_size_kb, buffer.output_size_kb)
        ),
    )
    pe = tile.pe
    crossbars_per_tile = chip.tile.pes * pe.config.crossbars
    crossbars = chip.tiles * crossbars_per_tile
    cells_per_crossbar = array.rows * array.columns
    tile_area_um2 = tile.area().total_um2
    return ChipFigures(
        tiles=chip.tiles,
        pes=chip.tiles * chip.tile.pes,
        crossbars=crossbars,
        cells=crossbars * cells_per_crossbar,
        crossbars_per_tile=crossbars_per_tile,
        crossbars_per_pe=pe.config.crossbars,
        cells_per_crossbar=cells_per_crossbar,
        adcs_per_pe=pe.all_adcs,
        dacs_per_pe=pe.all_dacs,
        columns_per_adc=pe.column_factor,
        rows_per_dac=pe.row_factor,
        adc_latency_ns=pe.adc_ns,
        dac_latency_ns=pe.dac_ns,
        read_latency_ns=pe.crossbar_ns,
        crossbar_power_w=crossbar.power_w(array, array.rows, array.columns),
        cell_area_um2=crossbar.cell_area_um2(array.device, array.passive),
        crossbar_area_um2=pe.crossbar_area_um2,
        pe_area_um2=pe.area().total_um2,
        tile_area_um2=tile_area_um2,
        chip_area_um2=chip.tiles * tile_area_um2,
    )
