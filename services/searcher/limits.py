"""What a candidate may need in training, and cost on the chip: checked before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.common.layers import LayerList, macs, params, training_memory_bytes
from services.common.units import format_area, format_energy, format_latency, format_power
from services.hw_oracle.types import CostReport
from services.searcher.types import HardwareLimits, TrainingLimits


def over_limit(network: LayerList, limits: TrainingLimits, batch_size: int) -> str | None:
    """Say which training limit `network` exceeds, or None when it is within all of them.

    Parameters
    ----------
    network : LayerList
    limits : TrainingLimits
    batch_size : int
        Images a training step; the memory grows with it.
    """
    needs = (
        ("max_macs", limits.max_macs, macs(network)),
        ("max_params", limits.max_params, params(network)),
        (
            "max_training_memory_bytes",
            limits.max_training_memory_bytes,
            training_memory_bytes(network, batch_size),
        ),
    )
    for name, limit, need in needs:
        if limit is not None and need > limit:
            return f"needs {need:,}, {name} is {limit:,}"
    return None


_COSTS: Mapping[str, Callable[[float], str]] = {
    "latency_ns": format_latency,
    "energy_nj": format_energy,
    "area_um2": format_area,
    "power_w": format_power,
    "average_power_w": format_power,
    "tiles": lambda tiles: f"{tiles:,.0f} tiles",
}


def over_hardware_limit(cost: CostReport, limits: HardwareLimits) -> str | None:
    """Say which limit a network's cost exceeds, or None when it is within all of them."""
    for name, shown in _COSTS.items():
        limit, value = getattr(limits, f"max_{name}"), getattr(cost, name)
        if limit is not None and value > limit:
            return f"costs {shown(value)}, max_{name} is {shown(limit)}"
    return None
