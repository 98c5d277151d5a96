"""What a network costs on a chip, readable: the kernel's reference, and the judge of bad input."""

from __future__ import annotations

from dataclasses import asdict

from services.common.layers import LayerList
from services.hw_oracle.energy import accumulator, layer_energy, layer_power
from services.hw_oracle.schedule import latency_ns
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
from services.hw_oracle.version import MODEL_VERSION
from services.hw_oracle.worked import work_out


def evaluate(layers: LayerList, chip: ChipConfig) -> CostReport:
    """Map, place, schedule and cost a network; see `services.hw_oracle.cost.evaluate`."""
    worked = work_out(layers, chip)
    mapping, tile, times, done = worked.mapping, worked.tile, worked.times, worked.done
    areas = [tile.area().times(mapped.tiles) for mapped in mapping.layers]
    powers = [
        layer_power(layer, mapped, tile) for layer, mapped in zip(layers.layers, mapping.layers, strict=True)
    ]
    energies = [layer_energy(power, time.modules) for power, time in zip(powers, times, strict=True)]
    costs = []
    for index, (layer, mapped) in enumerate(zip(layers.layers, mapping.layers, strict=True)):
        area, power, energy = areas[index], powers[index], energies[index]
        begin_ns, finish_ns = float(done[index].begin_ns[0]), float(done[index].finish_ns[-1])
        busy_ns = float(times[index].durations_ns.sum())
        if busy_ns and chip.pipeline is Pipeline.NONE:  # as MNSIM 2.0 has it, add and multiply too
            busy_ns = finish_ns - begin_ns
        costs.append(
            LayerCost(
                kind=layer.kind,
                **asdict(mapped),
                merge_distance_hops=worked.ways[index].merge_hops,
                transfer_distance_hops=worked.ways[index].transfer_hops,
                begin_ns=begin_ns,
                finish_ns=finish_ns,
                occupancy_frac=_occupancy_frac(busy_ns, finish_ns - begin_ns),
                area_um2=area.total_um2,
                power_w=power.total_w,
                energy_nj=energy.total_nj,
                latency=times[index].modules,
                area=area,
                power=power,
                energy=energy,
            )
        )
    accumulator_area, accumulator_power, accumulator_energy = accumulator(
        chip, mapping.accumulator_buffer_kb, mapping.accumulator_adders, mapping.accumulator_adder_bits
    )
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
        latency=LatencyBreakdown.sum(time.modules for time in times),
        area=AreaBreakdown.sum(areas),
        power=PowerBreakdown.sum(powers),
        energy=EnergyBreakdown.sum(energies),
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
