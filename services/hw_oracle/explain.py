"""Why a layer costs what it costs: each term with its equation, the numbers put in, and the result.

The results are those of the functions that make the report; the equations are theirs, written down.
"""

from __future__ import annotations

from services.common.errors import InvalidRequest, violation
from services.common.layers import Conv2d, LayerList, Linear, Pool2d
from services.hw_oracle.cost import evaluate
from services.hw_oracle.energy import layer_energy, layer_power
from services.hw_oracle.explain_power import add_area, add_energy, add_pe, add_power, add_units
from services.hw_oracle.explain_time import add_time
from services.hw_oracle.mapping import WeightMatrix, weight_matrix
from services.hw_oracle.types import ChipConfig, LayerCost
from services.hw_oracle.worked import Worked, work_out
from services.hw_oracle.worksheet import Term, Worksheet


def explain(network: LayerList, chip: ChipConfig, index: int) -> tuple[Term, ...]:
    """Explain the mapping, time, power, energy and area of one layer.

    Returns
    -------
    tuple of Term
        In the order in which they follow from each other. `busy_ns`, `power_w`, `energy_nj` and `area_um2`
        are the layer's totals in the report.

    Raises
    ------
    InvalidRequest
        The network has no such layer.
    InvalidNetwork, InvalidChip, ChipTooSmall
        As `services.hw_oracle.cost.evaluate`.
    """
    last = len(network.layers) - 1
    if not 0 <= index <= last:
        raise InvalidRequest.of(violation("layer", index, f"0 to {last}"))
    cost, worked, sheet = evaluate(network, chip).layers[index], work_out(network, chip), Worksheet(chip)
    _add_mapping(sheet, worked, index, cost)
    if cost.tiles:
        add_pe(sheet, worked)
    add_time(sheet, worked, index, cost)
    if cost.tiles:
        add_units(sheet, worked, index)
        power = layer_power(network.layers[index], worked.mapping.layers[index], worked.tile)
        add_power(sheet, worked, index, power)
        add_energy(sheet, worked, index, layer_energy(power, worked.times[index].modules))
        add_area(sheet, worked, index)
    else:
        sheet.section("power, energy and area")
        for name in ("power_w", "energy_nj", "area_um2"):
            sheet.add(f"{cost.kind} takes no tile", name, "0", getattr(cost, name))
    return tuple(sheet.terms)


def _add_mapping(sheet: Worksheet, worked: Worked, index: int, cost: LayerCost) -> None:
    layer, source = worked.network.layers[index], worked.network.input_shapes(index)[0]
    sheet.give(out_channels=worked.network.shapes[index].channels)
    if isinstance(layer, Conv2d | Pool2d):
        sheet.give(kernel_size=layer.kernel_size, in_width=source.width)
    sheet.section("mapping")
    if isinstance(layer, Conv2d | Linear):
        sheet.give(weight_bits=layer.bits.weight_bits, input_bits=layer.bits.input_bits)
        sheet.give(output_bits=layer.bits.output_bits)
        _add_matrix(sheet, worked, index, cost)
    else:
        sheet.add("tiles", "tiles", "1" if cost.tiles else "0", cost.tiles)
    sheet.add("farthest tile to merge tile", "merge_hops", "", cost.merge_distance_hops)
    sheet.add("on to farthest consumer", "transfer_hops", "", cost.transfer_distance_hops)


def _add_matrix(sheet: Worksheet, worked: Worked, index: int, cost: LayerCost) -> None:
    matrix, add = weight_matrix(worked.network, index, worked.chip), sheet.add
    way, layer = matrix.best_split(), worked.network.layers[index]
    groups, window = (layer.groups, "kernel_size**2") if isinstance(layer, Conv2d) else (1, "1")
    sheet.give(in_channels=matrix.inputs, groups=groups)
    add("bit slices of a weight", "slices", "weight_bits - pe.differential", matrix.slices)
    add("channels a column holds", "held", f"floor(crossbar.rows / {window})", matrix.held)
    of_inputs, of_outputs, blocks, packed = "in_channels", "out_channels", "", ""
    if matrix.groups > 1:
        _add_groups(sheet, matrix)
    if way.groups > 1:
        of_inputs, of_outputs = "in_channels / groups", "out_channels / groups"
        blocks, packed = "ceil(groups / packed) * ", "packed * "
    across = f"{blocks}ceil({of_outputs} / crossbar.columns) * ceil(slices / pe.groups)"
    add("PEs across: outputs, slices", "pes_across", across, cost.pes_across)
    add("PEs down: inputs", "pes_down", f"ceil({of_inputs} / held)", cost.pes_down)
    add("PEs", "pes", "pes_across * pes_down", cost.pes)
    add("tiles", "tiles", "ceil(pes / tile.pes)", cost.tiles)
    add("crossbars", "crossbars", "pes * pe.groups * (1 + pe.differential)", cost.crossbars)
    add("PEs in use in a tile", "pes_per_tile", "min(pes, tile.pes)", cost.pes_per_tile)
    add("crossbar rows in use", "rows_used", f"min(held, {packed}{of_inputs}) * {window}", cost.rows_used)
    add(
        "crossbar columns in use",
        "columns_used",
        f"min(crossbar.columns, {packed}{of_outputs})",
        cost.columns_used,
    )
    add("PE groups in use", "groups_used", "min(slices, pe.groups)", cost.groups_used)


def _add_groups(sheet: Worksheet, matrix: WeightMatrix) -> None:
    """Add both ways to hold a grouped convolution; the one of fewer PEs is taken."""
    apart, whole = matrix.split(matrix.groups), matrix.split(1)
    fit = "floor(held / (in_channels / groups)), floor(crossbar.columns / (out_channels / groups))"
    sheet.add("groups that share a crossbar", "packed", f"max(1, min(groups, {fit}))", apart.packed)
    for words, symbol, equation, way in (
        (
            "PEs a slice, groups apart",
            "apart",
            "ceil(groups / packed) * ceil(out_channels / groups / crossbar.columns)"
            " * ceil(in_channels / groups / held)",
            apart,
        ),
        (
            "PEs a slice, one matrix",
            "whole",
            "ceil(out_channels / crossbar.columns) * ceil(in_channels / held)",
            whole,
        ),
    ):
        sheet.add(words, symbol, equation, way.across * way.down)
