"""Mapping: which PEs and tiles each layer takes, and the buffer sizes that follow from all layers together.

Equations: MNSIM 2.0, Mapping_Model/Tile_connection_graph.py. Weights are spread over PEs by output channels
and bit slices (across) and by input channels (down); layers share no tile, and no weight is loaded twice.

A convolution of g > 1 groups goes beyond MNSIM. Where the rows of a group, (in / g) k**2, and its columns,
out / g, fit in a crossbar, ``packed = min(g, rows // ((in / g) k**2), columns // (out / g))`` groups share
one, block after block on its diagonal: it has ``packed`` times the rows and columns of a group in use, and
the layer takes ``slices * ceil(g / packed)`` PEs. Where a group does not fit, each is split like a
convolution of its own. Where that takes more PEs than the full matrix, over all channels with zeros between
the groups, and where the chip's `grouped_mapping` is full, the layer is held as that matrix. All else, line
buffers among it, follows from the rows, columns and PEs in use by the equations for one group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from services.common.errors import ChipTooSmall, InvalidNetwork, Violation, violation
from services.common.layers import (
    NETWORK_INPUT,
    Add,
    Concat,
    Conv2d,
    Layer,
    LayerList,
    Linear,
    Multiply,
    Pool2d,
)
from services.hw_oracle.buffer import power_of_two_kb
from services.hw_oracle.types import ChipConfig, GroupedMapping

MAX_POINTS = 2**22
"""Most output points (height x width, over all layers): bounds time and memory of the schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMapping:
    """What one layer takes of the chip; the fields are those of `LayerCost`."""

    pes_across: int = 0
    pes_down: int = 0
    pes: int = 0
    tiles: int = 0
    first_tile: int
    pes_per_tile: int = 0
    crossbars: int = 0
    rows_used: int = 0
    columns_used: int = 0
    groups_used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A network on a chip.

    Parameters
    ----------
    layers : tuple of LayerMapping
    output_bits : tuple of int
        Bits of each layer's output values.
    input_buffer_kb, output_buffer_kb : float
        The largest that any layer needs; every PE and every tile gets it.
    accumulator_buffer_kb : float
        Sum of what the add and multiply layers need.
    accumulator_adders, accumulator_adder_bits : int
    """

    layers: tuple[LayerMapping, ...]
    output_bits: tuple[int, ...]
    input_buffer_kb: float
    output_buffer_kb: float
    accumulator_buffer_kb: float
    accumulator_adders: int
    accumulator_adder_bits: int

    @property
    def tiles(self) -> int:
        """Tiles in use."""
        return sum(layer.tiles for layer in self.layers)


def map_network(network: LayerList, chip: ChipConfig) -> Mapping:
    """Spread a network over a chip.

    Raises
    ------
    InvalidNetwork
        A layer that this kind of chip cannot hold: a kernel larger than the crossbar's rows, a one-bit
        differential weight; no layer but concats; or more than `MAX_POINTS` output points.
    ChipTooSmall
        More tiles than the grid has.
    """
    points = sum(shape.points for shape in network.shapes)
    if points > MAX_POINTS:
        wanted = f"at most {MAX_POINTS} output points over all layers"
        raise InvalidNetwork.of(violation("layers", f"{points} output points", wanted))
    if all(isinstance(layer, Concat) for layer in network.layers):
        raise InvalidNetwork.of(violation("layers", "concats alone", "a layer that computes"))
    wrong = [found for i in range(len(network.layers)) for found in _violations(network, i, chip)]
    if wrong:
        raise InvalidNetwork.of(*wrong)
    layers: list[LayerMapping] = []
    tiles = 0
    for index in range(len(network.layers)):
        layers.append(_map_layer(network, index, chip, tiles))
        tiles += layers[-1].tiles
    if tiles > chip.tiles:
        raise ChipTooSmall(
            f"the network needs {tiles} tiles, the chip has {chip.grid_rows} x {chip.grid_columns} = "
            f"{chip.tiles}; take a larger grid or crossbar, or a smaller network"
        )
    sizes = [
        buffers_kb(network, i, layers[i])
        for i, layer in enumerate(network.layers)
        if isinstance(layer, Conv2d | Linear)
    ]
    output_bits = _output_bits(network)
    joined = [  # values that an accumulator takes for one output point, and their bits
        (network.shapes[i].channels * len(layer.inputs), output_bits[i], layer)
        for i, layer in enumerate(network.layers)
        if is_elementwise(layer)
    ]
    return Mapping(
        layers=tuple(layers),
        output_bits=output_bits,
        input_buffer_kb=max((size for size, _ in sizes), default=0.0),
        output_buffer_kb=max((size for _, size in sizes), default=0.0),
        accumulator_buffer_kb=sum(power_of_two_kb(values * bits / 8) for values, bits, _ in joined),
        accumulator_adders=sum(values // 2 for values, _, layer in joined if isinstance(layer, Add)),
        accumulator_adder_bits=max([8, *(bits for _, bits, _ in joined)]),
    )


def is_elementwise(layer: Layer) -> bool:
    """Whether the accumulator computes the layer, so that it takes no tile."""
    return isinstance(layer, Add | Multiply)


def source_bits(network: LayerList, index: int, output_bits: Sequence[int], source: int) -> int:
    """Bits of a value that layer `index` reads from `source`, given the output bits of the layers before."""
    return network.layers[index].bits.input_bits if source == NETWORK_INPUT else output_bits[source]


def _output_bits(network: LayerList) -> tuple[int, ...]:
    """Bits of each layer's values.

    Add and multiply keep those of their first input that is neither, a concat has those of its widest part.
    """
    bits: list[int] = []
    for index, layer in enumerate(network.layers):
        if is_elementwise(layer):
            source = min(layer.inputs, key=lambda i: (i == NETWORK_INPUT, is_elementwise(network.layers[i])))
            bits.append(source_bits(network, index, bits, source))
        elif isinstance(layer, Concat):
            bits.append(max(source_bits(network, index, bits, source) for source in layer.inputs))
        else:
            bits.append(layer.bits.output_bits)
    return tuple(bits)


def _violations(network: LayerList, index: int, chip: ChipConfig) -> Iterator[Violation]:
    """Say why a chip of this kind can hold no such layer."""
    layer, pe = network.layers[index], chip.tile.pe
    path, rows = f"layers[{index}].{layer.kind}", pe.crossbar.rows
    if isinstance(layer, Conv2d) and layer.kernel_size**2 > rows:
        wanted = f"a kernel whose square is at most the crossbar's {rows} rows"
        yield violation(f"{path}.kernel_size", layer.kernel_size, wanted)
    if isinstance(layer, Conv2d | Linear) and layer.bits.weight_bits <= pe.differential:
        wanted = "2 or more on a chip with differential crossbars"
        yield violation(f"{path}.bits.weight_bits", layer.bits.weight_bits, wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A matrix in `groups` groups that are held apart, over the PEs of one bit slice.

    Parameters
    ----------
    groups, packed : int
        Groups, and those that share a crossbar.
    across, down : int
        PEs over which outputs and inputs are split.
    inputs, outputs : int
        Channels of one PE, at most.
    """

    groups: int
    packed: int
    across: int
    down: int
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightMatrix:
    """The weights of a convolution or linear layer, as crossbars hold them.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    window : int
        Rows that an input channel takes.
    groups : int
        That may be held apart.
    slices : int
        Bits of a weight that are held, each in a PE or a group of a PE.
    held : int
        Input channels whose windows fit one column.
    columns : int
        Of a crossbar.
    """

    inputs: int
    outputs: int
    window: int
    groups: int
    slices: int
    held: int
    columns: int

    def split(self, groups: int) -> Split:
        """Split the channels, in `groups` groups, over PEs."""
        of_inputs, of_outputs = self.inputs // groups, self.outputs // groups
        packed = max(1, min(groups, self.held // of_inputs, self.columns // of_outputs))
        return Split(
            groups=groups,
            packed=packed,
            across=ceil(groups / packed) * ceil(of_outputs / self.columns),
            down=ceil(of_inputs / self.held),
            inputs=min(self.held, packed * of_inputs),
            outputs=min(self.columns, packed * of_outputs),
        )

    def best_split(self) -> Split:
        """Hold the groups apart, or all as one matrix where that takes fewer PEs."""
        return min((self.split(count) for count in (self.groups, 1)), key=lambda way: way.across * way.down)


def weight_matrix(network: LayerList, index: int, chip: ChipConfig) -> WeightMatrix:
    """Describe the matrix of a convolution or linear layer that the chip can hold."""
    layer, pe, groups = network.layers[index], chip.tile.pe, 1
    source = network.shape_of(layer.inputs[0])
    if isinstance(layer, Conv2d):
        window, inputs = layer.kernel_size**2, source.channels
        if chip.grouped_mapping is GroupedMapping.PACKED:
            groups = layer.groups
    else:
        window, inputs = 1, source.elements
    return WeightMatrix(
        inputs=inputs,
        outputs=network.shapes[index].channels,
        window=window,
        groups=groups,
        slices=layer.bits.weight_bits - pe.differential,
        held=pe.crossbar.rows // window,
        columns=pe.crossbar.columns,
    )


def _map_layer(network: LayerList, index: int, chip: ChipConfig, first_tile: int) -> LayerMapping:
    pe = chip.tile.pe
    match network.layers[index]:
        case Pool2d():
            return LayerMapping(
                pes_across=1, pes_down=1, pes=1, tiles=1, first_tile=first_tile, pes_per_tile=1
            )
        case Add() | Multiply() | Concat():
            return LayerMapping(first_tile=first_tile)
    matrix = weight_matrix(network, index, chip)
    way = matrix.best_split()
    across = way.across * ceil(matrix.slices / pe.groups)
    pes = across * way.down
    return LayerMapping(
        pes_across=across,
        pes_down=way.down,
        pes=pes,
        tiles=ceil(pes / chip.tile.pes),
        first_tile=first_tile,
        pes_per_tile=min(pes, chip.tile.pes),
        crossbars=pes * pe.crossbars,
        rows_used=way.inputs * matrix.window,
        columns_used=way.outputs,
        groups_used=min(matrix.slices, pe.groups),
    )


def buffers_kb(network: LayerList, index: int, mapped: LayerMapping) -> tuple[float, float]:
    """Line buffer of one of the layer's PEs, and output buffer (of two outputs) of one of its tiles."""
    layer, source = network.layers[index], network.shape_of(network.layers[index].inputs[0])
    values = source.elements
    if isinstance(layer, Conv2d):
        values = source.width * layer.kernel_size * source.channels
    out_bytes = network.shapes[index].channels * layer.bits.output_bits / 8
    in_bytes = values * layer.bits.input_bits / 8
    return power_of_two_kb(in_bytes / mapped.pes), power_of_two_kb(2 * out_bytes / mapped.tiles)
