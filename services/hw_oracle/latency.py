"""How long a layer works on one output point, and how the modules share that time.

Equations: MNSIM 2.0, Latency_Model (PE, Tile, Pooling, Model), with its line-buffer rules "mode 1" (by
window) and "mode 0" (by row). A point is computed, merged over the layer's tiles and sent to the consumers
before the next begins.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import ceil

import numpy as np
import numpy.typing as npt

from services.common.layers import Concat, Conv2d, LayerList, Linear, Multiply, Pool2d, Shape
from services.hw_oracle.buffer import access_ns
from services.hw_oracle.digital import ELEMENTWISE_NS, pooling_latency_ns
from services.hw_oracle.mapping import LayerMapping, Mapping, source_bits
from services.hw_oracle.pe import make_pe
from services.hw_oracle.types import ChipConfig, LatencyBreakdown, Pipeline

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPlace:
    """A time of one point by its place in the output map, whose points are made row by row."""

    corner: float = 0.0
    first_column: float = 0.0
    first_row: float = 0.0
    inside: float = 0.0

    def sum(self, shape: Shape) -> float:
        """Sum over all points."""
        down, along = shape.height - 1, shape.width - 1
        return self.corner + down * self.first_column + along * self.first_row + down * along * self.inside

    def points(self, shape: Shape) -> Array:
        """Time of each point, shape (height * width,)."""
        grid = np.full((shape.height, shape.width), self.inside)
        grid[0], grid[:, 0] = self.first_row, self.first_column
        grid[0, 0] = self.corner
        return grid.ravel()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTime:
    """Work of one layer, without any waiting.

    Parameters
    ----------
    durations_ns : Array
        Of each output point in order, shape (height * width,).
    modules : LatencyBreakdown
        Summed over all points.
    point_ns : float
    point : LatencyBreakdown
        Of one point, without the input buffers.
    written, read : ByPlace
        Writing and reading of the input buffers.
    """

    durations_ns: Array
    modules: LatencyBreakdown
    point_ns: float
    point: LatencyBreakdown
    written: ByPlace
    read: ByPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixWork:
    """What the PEs of a convolution or linear layer do for one output point.

    Parameters
    ----------
    column_passes : int
        Columns of an ADC that are converted one after the other.
    passes : int
        The same for every round of rows of a DAC.
    cycles : int
        Conversions one after the other: a pass takes one for each slice of the input's bits.
    joins, joined_bits : int
        Levels of joint modules in use, and the bits of a value behind them.
    link_bits : float
        Bits on the links within a tile.
    merged_bits : int
        Bits that a tile holds of the point.
    """

    column_passes: int
    passes: int
    cycles: int
    joins: int
    joined_bits: int
    link_bits: float
    merged_bits: int


def matrix_work(layer: Conv2d | Linear, mapped: LayerMapping, chip: ChipConfig) -> MatrixWork:
    """Count what the PEs do for one output point of a convolution, or for all of a linear layer."""
    pe, columns = make_pe(chip), mapped.columns_used
    column_passes = ceil(columns / pe.adcs)
    passes = ceil(mapped.rows_used / (pe.config.dacs * pe.config.crossbar.subarrays)) * column_passes
    joins, links = _levels(mapped.pes_per_tile), _levels(chip.tile.pes)
    joined_bits = pe.config.adc.bits + joins  # each level of joining adds a bit
    return MatrixWork(
        column_passes=column_passes,
        passes=passes,
        cycles=passes * ceil(layer.bits.input_bits / pe.config.dac.bits),
        joins=joins,
        joined_bits=joined_bits,
        link_bits=(links * joined_bits - joins * (joins + 1) / 2) * columns,
        merged_bits=columns * mapped.pes_per_tile * layer.bits.output_bits,
    )


def layer_time(
    network: LayerList, index: int, mapping: Mapping, chip: ChipConfig, distance_hops: tuple[float, float]
) -> LayerTime:
    """Time one layer, given its merge and its transfer distance."""
    layer, shape, mapped = network.layers[index], network.shapes[index], mapping.layers[index]
    source = network.shape_of(layer.inputs[0])
    match layer:
        case Conv2d():
            point = _matrix_point(layer, shape.channels, mapped, chip, distance_hops)
            written, read = _line_buffer(layer, mapped.rows_used // layer.kernel_size**2, source.width, chip)
        case Linear():
            point = _matrix_point(layer, shape.channels, mapped, chip, distance_hops)
            written = read = ByPlace(corner=access_ns(chip.buffer, mapped.rows_used * layer.bits.input_bits))
        case Pool2d():
            point = _pooling_point(layer, source.channels, chip, distance_hops[1])
            written, read = _line_buffer(layer, source.channels, source.width, chip)
        case Concat():
            point, written, read = LatencyBreakdown(), ByPlace(), ByPlace()
        case _:
            point = _elementwise_point(network, index, mapping.output_bits, chip, distance_hops[1])
            written = read = ByPlace()
    point_ns = sum(getattr(point, f.name) for f in fields(point))
    if isinstance(layer, Conv2d | Linear):
        point_ns -= point.buffer_read_ns  # the merge holds it already; a pooling unit pays it twice
    modules = point.times(shape.points)
    return LayerTime(
        durations_ns=point_ns + written.points(shape) + read.points(shape),
        modules=replace(
            modules,
            buffer_read_ns=modules.buffer_read_ns + read.sum(shape),
            buffer_write_ns=modules.buffer_write_ns + written.sum(shape),
        ),
        point_ns=point_ns,
        point=point,
        written=written,
        read=read,
    )


def _matrix_point(
    layer: Conv2d | Linear,
    channels: int,
    mapped: LayerMapping,
    chip: ChipConfig,
    distance_hops: tuple[float, float],
) -> LatencyBreakdown:
    """One output point of a convolution, or all of a linear layer, without the PEs' input buffers."""
    pe, work, clock_ns = make_pe(chip), matrix_work(layer, mapped, chip), 1e3 / chip.clock_mhz
    cycles, column_passes, columns = work.cycles, work.column_passes, mapped.columns_used
    read_ns = access_ns(chip.buffer, work.merged_bits)
    merge_hops, transfer_hops = distance_hops
    return LatencyBreakdown(
        crossbar_ns=cycles * pe.crossbar_ns,
        dac_ns=cycles * pe.dac_ns,
        adc_ns=cycles * pe.adc_ns,
        adder_ns=column_passes * _levels(pe.config.groups) * clock_ns,
        shift_register_ns=cycles * clock_ns,
        input_register_ns=(work.passes + cycles) * clock_ns,
        output_register_ns=column_passes * clock_ns,
        input_demux_ns=cycles * pe.demux_ns,
        output_mux_ns=cycles * pe.mux_ns,
        joint_module_ns=work.joins * clock_ns,
        buffer_read_ns=read_ns,
        buffer_write_ns=access_ns(chip.buffer, work.joined_bits * columns * mapped.pes_per_tile),
        intra_tile_ns=work.link_bits / chip.intra_tile_bandwidth_gbps,
        tile_merge_ns=read_ns + merge_hops * (clock_ns + work.merged_bits / chip.inter_tile_bandwidth_gbps),
        tile_transfer_ns=transfer_hops * channels * layer.bits.output_bits / chip.inter_tile_bandwidth_gbps,
    )


def _pooling_point(layer: Pool2d, channels: int, chip: ChipConfig, transfer_hops: float) -> LatencyBreakdown:
    bits = channels * layer.bits.output_bits
    move_ns = access_ns(chip.buffer, bits)
    return LatencyBreakdown(
        pooling_ns=pooling_latency_ns(chip.tile.pooling, channels, layer.kernel_size),
        buffer_read_ns=move_ns,
        buffer_write_ns=move_ns,
        tile_merge_ns=move_ns,
        tile_transfer_ns=transfer_hops * bits / chip.inter_tile_bandwidth_gbps,
    )


def _elementwise_point(
    network: LayerList, index: int, output_bits: tuple[int, ...], chip: ChipConfig, transfer_hops: float
) -> LatencyBreakdown:
    """One output point of the accumulator, which stores and loads every input."""
    bits = elementwise_bits(network, index, output_bits, chip) * network.shapes[index].channels
    move_ns = access_ns(chip.buffer, len(network.layers[index].inputs) * bits)
    return LatencyBreakdown(
        elementwise_ns=ELEMENTWISE_NS,
        buffer_read_ns=move_ns,
        buffer_write_ns=move_ns,
        tile_transfer_ns=transfer_hops * bits / chip.inter_tile_bandwidth_gbps,
    )


def elementwise_bits(network: LayerList, index: int, output_bits: tuple[int, ...], chip: ChipConfig) -> int:
    """Bits of a value that an add or multiply moves."""
    layer = network.layers[index]
    if not isinstance(layer, Multiply) or chip.pipeline is Pipeline.NONE:
        return output_bits[index]
    # MNSIM 2.0 looks at the largest map here
    largest = max(layer.inputs, key=lambda i: (network.shape_of(i).height, network.shape_of(i).width))
    return source_bits(network, index, output_bits, largest)


def _line_buffer(
    layer: Conv2d | Pool2d, channels: int, width: int, chip: ChipConfig
) -> tuple[ByPlace, ByPlace]:
    """Time the writing of new pixels to a PE's input buffer, and the reading of the moved window."""
    kernel, stride = layer.kernel_size, layer.stride
    inner = max(kernel - layer.padding, 0)  # side of the first window that is no padding

    def move_ns(pixels: int) -> float:
        return access_ns(chip.buffer, channels * pixels * layer.bits.input_bits)

    if chip.pipeline is Pipeline.WINDOW:
        written = ByPlace(
            corner=move_ns(inner**2),
            first_column=move_ns(stride * inner),
            first_row=move_ns(stride * (stride if isinstance(layer, Pool2d) else kernel)),
            inside=move_ns(stride**2),
        )
    else:  # whole rows before the first window and before each next row of windows
        step = move_ns(stride)
        written = ByPlace(
            corner=move_ns(width * max(inner - 1, 0) + inner),
            first_column=move_ns(width * (stride - 1) + inner),
            first_row=step,
            inside=step,
        )
    window_ns, step_ns = move_ns(kernel**2), move_ns(stride * kernel)
    return written, ByPlace(corner=window_ns, first_column=window_ns, first_row=step_ns, inside=step_ns)


def _levels(count: int) -> int:
    """Levels of a binary tree over `count` leaves."""
    return (count - 1).bit_length()
