"""LayerList and ChipConfig -> the kernel's records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from services.common.errors import check_type
from services.common.layers import Conv2d, LayerList, Linear, Pool2d
from services.hw_oracle.buffer import NO_BUFFER, sram_sizes
from services.hw_oracle.compiled.records import CHIP, KINDS, LAYER, PIPELINES
from services.hw_oracle.crossbar import half_selected_power_w
from services.hw_oracle.device import read_power_w
from services.hw_oracle.pe import make_pe
from services.hw_oracle.placement import positions
from services.hw_oracle.tile import make_tile
from services.hw_oracle.types import ChipConfig, GroupedMapping, PimType, Placement, chip_hash

Records = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]

MOST_CELLS = 2**14
"""Most tiles that are placed in advance; a network with more is left to the reference."""

_KIND = {kind: number for number, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class Packed:
    """Networks as the kernel reads them.

    Parameters
    ----------
    images : (n, 3) int64
        Channels, height, width of each network's input.
    starts, input_starts : (n + 1,) int64
        Where each network's layers and inputs begin, and where the last ones end.
    layers : LAYER records
    inputs : int64
    """

    images: Integers
    starts: Integers
    layers: Records
    input_starts: Integers
    inputs: Integers

    def __len__(self) -> int:
        return len(self.images)

    def kinds(self) -> tuple[str, ...]:
        """Kind of each layer."""
        return tuple(KINDS[number] for number in self.layers["kind"].tolist())

    def content(self) -> bytes:
        """Tell these networks from others: equal ones have equal bytes."""
        return b"".join((self.images.tobytes(), self.layers.tobytes(), self.inputs.tobytes()))


def pack(networks: Sequence[LayerList]) -> Packed:
    """Pack networks."""
    images: list[int] = []
    layers: list[int] = []
    inputs: list[int] = []
    starts, input_starts = [0], [0]
    for network in networks:
        check_type("layers", network, LayerList)
        for layer in network.layers:
            bits, sizes = layer.bits, (0, 0, 0, 0, 0)
            if isinstance(layer, Conv2d):
                sizes = (
                    layer.out_channels, layer.kernel_size, layer.stride, layer.padding, layer.groups,
                )  # fmt: skip
            elif isinstance(layer, Pool2d):
                sizes = (0, layer.kernel_size, layer.stride, layer.padding, 0)
            elif isinstance(layer, Linear):
                sizes = (layer.out_features, 0, 0, 0, 0)
            layers += (
                _KIND[layer.kind], len(inputs) - input_starts[-1], len(layer.inputs), *sizes,
                bits.input_bits, bits.weight_bits, bits.output_bits,
            )  # fmt: skip
            inputs += layer.inputs
        shape = network.input_shape
        images += (shape.channels, shape.height, shape.width)
        starts.append(starts[-1] + len(network.layers))
        input_starts.append(len(inputs))
    return Packed(
        np.array(images, np.int64).reshape(-1, 3),
        np.array(starts, np.int64),
        np.array(layers, np.int64).view(LAYER),
        np.array(input_starts, np.int64),
        np.array(inputs, np.int64),
    )


@dataclass(frozen=True, slots=True)
class PackedChip:
    """A chip as the kernel reads it.

    Parameters
    ----------
    hash : str
        `chip_hash` of the chip.
    record : (1,) CHIP
    cells : (4, tiles) float64
        Row + column, row - column, distance to the accumulator and place in row-major order of each tile.
    sram : (9, 3) float64
        Area in um2, read and write power in W of a buffer by size.
    """

    hash: str
    record: Records
    cells: npt.NDArray[np.float64]
    sram: npt.NDArray[np.float64]


@lru_cache(maxsize=64)
def pack_chip(chip: ChipConfig) -> PackedChip:
    """Derive what the kernel needs of a chip."""
    pe, config, digital = make_pe(chip), chip.tile.pe, chip.tile.pe.pim_type is PimType.DIGITAL
    array = config.crossbar
    sizes = sram_sizes(chip.buffer.technology_nm, chip.buffer.width_bits)
    table = np.array([(b.area_um2, b.read_power_w, b.write_power_w) for b in sizes])
    tile = make_tile(chip, NO_BUFFER, NO_BUFFER)
    record = np.zeros(1, CHIP)
    for name, value in {
        "rows": array.rows,
        "columns": array.columns,
        "subarrays": array.subarrays,
        "dacs": config.dacs,
        "adcs": pe.adcs,
        "pe_groups": config.groups,
        "differential": config.differential,
        "crossbars": config.crossbars,
        "tile_pes": chip.tile.pes,
        "tiles": chip.tiles,
        "placed": chip.placement is not Placement.NONE,
        "pipeline": PIPELINES.index(chip.pipeline),
        "packed": chip.grouped_mapping is GroupedMapping.PACKED,
        "dac_bits": config.dac.bits,
        "adc_bits": config.adc.bits,
        "column_factor": pe.column_factor,
        "row_factor": pe.row_factor,
        "convert_subarrays": array.subarrays if digital else 1,
        "width_bits": chip.buffer.width_bits,
        "pool_window": chip.tile.pooling.window,
        "pool_units": chip.tile.pooling.units,
        "smallest_row": int(np.isnan(table[:, 0]).sum()),
        "crossbar_ns": pe.crossbar_ns,
        "dac_ns": pe.dac_ns,
        "adc_ns": pe.adc_ns,
        "demux_ns": pe.demux_ns,
        "mux_ns": pe.mux_ns,
        "clock_ns": 1e3 / chip.clock_mhz,
        "inter_tile_gbps": chip.inter_tile_bandwidth_gbps,
        "intra_tile_gbps": chip.intra_tile_bandwidth_gbps,
        "cell_w": read_power_w(array.device),
        "half_selected_w": half_selected_power_w(array),
        "dac_w": config.dac.power_w,
        "adc_w": config.adc.power_w,
        "adder_w": pe.adder.power_w,
        "shift_register_w": pe.shift_register.power_w,
        "register_w": pe.register.power_w,
        "demux_w": pe.demux.power_w,
        "mux_w": pe.mux.power_w,
        "joint_module_w": tile.joint_module.power_w,
        "pooling_w": tile.pooling.power_w,
        "tile_um2": tile.area().total_um2,
        "input_size_kb": chip.buffer.input_size_kb or 0.0,
        "output_size_kb": chip.buffer.output_size_kb or 0.0,
    }.items():
        record[name] = value
    return PackedChip(chip_hash(chip), record, _cells(chip), table)


def _cells(chip: ChipConfig) -> npt.NDArray[np.float64]:
    if chip.placement is Placement.NONE:
        return np.zeros((4, 0))
    row, column = positions(chip, min(chip.tiles, MOST_CELLS)).astype(np.float64)
    to_accumulator = np.abs(row - chip.grid_rows / 2) + column
    return np.stack([row + column, row - column, to_accumulator, row * chip.grid_columns + column])
