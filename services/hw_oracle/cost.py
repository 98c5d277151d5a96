"""The one entry: what a network costs on a chip."""

from __future__ import annotations

from dataclasses import asdict

from services.common.layers import LayerList
from services.hw_oracle.energy import accumulator, layer_energy, layer_power, network_tile
from services.hw_oracle.latency import layer_time
from services.hw_oracle.mapping import map_network
from services.hw_oracle.placement import distances_hops
from services.hw_oracle.schedule import latency_ns, schedule
from services.hw_oracle.types import (
    AreaBreakdown,
    ChipConfig,
    CostReport,
    EnergyBreakdown,
    LatencyBreakdown,
    LayerCost,
    Pipeline,
    PowerBreakdown,
    chip_hash,
)

MODEL_VERSION = "1"
"""Raised whenever an equation changes what a report says."""


def evaluate(layers: LayerList, chip: ChipConfig = ChipConfig()) -> CostReport:
    """Map, place, schedule and cost a network.

    The model is MNSIM 2.0's (commit ca39ccb), pipelined by window unless the chip says otherwise, so that its
    numbers and ours agree. Beyond MNSIM:

    - Any layer may read the network's input, and the first may be of any kind: the input is there at time
      0, comes no way, and is written to input buffers as any layer's output is.
    - A concat routes and does nothing else: it takes no tile, time or energy. Point t of it is there once
      point t of every part is; what it joins goes straight to its own consumers; its values have the bits
      of its widest part. As the last layer it is an output, and what it joins then goes nowhere.
    - A grouped convolution is held as what it is: see `services.hw_oracle.mapping`.
    - Every layer that no other reads is an output; the latency is that of the latest.

    Parameters
    ----------
    layers : LayerList
    chip : ChipConfig
        MNSIM 2.0's default chip unless given.

    Returns
    -------
    CostReport

    Raises
    ------
    InvalidNetwork
        A layer that this kind of chip cannot hold, or too many output points.
    InvalidChip
        No buffer is as small and as wide as the chip and the network need.
    ChipTooSmall
        The network needs more tiles than the grid has.
    """
    mapping = map_network(layers, chip)
    tile = network_tile(mapping, chip)
    distances = distances_hops(layers, mapping, chip)
    times = [layer_time(layers, i, mapping, chip, distance) for i, distance in enumerate(distances)]
    done = schedule(layers, [time.durations_ns for time in times], chip.pipeline)
    tile_area = tile.area()
    costs = []
    for index, (layer, mapped) in enumerate(zip(layers.layers, mapping.layers, strict=True)):
        latency = times[index].modules
        area = tile_area.times(mapped.tiles)
        power = layer_power(layer, mapped, tile)
        energy = layer_energy(power, latency)
        begin_ns, finish_ns = float(done[index].begin_ns[0]), float(done[index].finish_ns[-1])
        busy_ns = float(times[index].durations_ns.sum())
        if busy_ns and chip.pipeline is Pipeline.NONE:  # as MNSIM 2.0 has it, add and multiply too
            busy_ns = finish_ns - begin_ns
        costs.append(
            LayerCost(
                kind=layer.kind,
                **asdict(mapped),
                merge_distance_hops=distances[index][0],
                transfer_distance_hops=distances[index][1],
                begin_ns=begin_ns,
                finish_ns=finish_ns,
                occupancy_frac=_occupancy_frac(busy_ns, finish_ns - begin_ns),
                area_um2=area.total_um2,
                power_w=power.total_w,
                energy_nj=energy.total_nj,
                latency=latency,
                area=area,
                power=power,
                energy=energy,
            )
        )
    accumulator_area, accumulator_power, accumulator_energy = accumulator(mapping, chip)
    return CostReport(
        model_version=MODEL_VERSION,
        chip_hash=chip_hash(chip),
        latency_ns=latency_ns(layers, done),
        area_um2=sum(layer.area_um2 for layer in costs),
        power_w=sum(layer.power_w for layer in costs),
        energy_nj=sum(layer.energy_nj for layer in costs),
        tiles=mapping.tiles,
        pes=sum(layer.pes for layer in costs),
        crossbars=sum(layer.crossbars for layer in costs),
        latency=LatencyBreakdown.sum(layer.latency for layer in costs),
        area=AreaBreakdown.sum(layer.area for layer in costs),
        power=PowerBreakdown.sum(layer.power for layer in costs),
        energy=EnergyBreakdown.sum(layer.energy for layer in costs),
        accumulator_area=accumulator_area,
        accumulator_power=accumulator_power,
        accumulator_energy=accumulator_energy,
        layers=tuple(costs),
    )


def _occupancy_frac(busy_ns: float, span_ns: float) -> float:
    """Share of its span that a layer works; rounding may hide a short work, or stretch it, in a late span."""
    if not busy_ns:  # a concat
        return 0.0
    return min(1.0, busy_ns / span_ns) if span_ns > 0 else 1.0
