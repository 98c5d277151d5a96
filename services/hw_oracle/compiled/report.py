"""The kernel's records -> CostReport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from services.hw_oracle.compiled.records import LATENCY_MODULES, MAPPED, POWER_MODULES, TIMED, TOTALS
from services.hw_oracle.energy import accumulator, network_tile
from services.hw_oracle.types import (
    AreaBreakdown,
    ChipConfig,
    CostReport,
    Detail,
    EnergyBreakdown,
    LatencyBreakdown,
    LayerCost,
    PowerBreakdown,
    chip_hash,
)
from services.hw_oracle.version import MODEL_VERSION

Matrix = npt.NDArray[np.float64]

_TOTAL_NAMES = ("latency_ns", "area_um2", "power_w", "energy_nj", "tiles", "pes", "crossbars")
_LAYER_NAMES = [*MAPPED.split(), *TIMED.split()]
_LATENCY_NAMES = [f.name for f in fields(LatencyBreakdown)]
_AREA_NAMES = [f.name for f in fields(AreaBreakdown)]
_POWER_NAMES = [f.name for f in fields(PowerBreakdown)]
_ENERGY_NAMES = [f.name for f in fields(EnergyBreakdown)]
_TIMES = [LATENCY_MODULES.index(module) for module in POWER_MODULES]


def make_report(
    chip: ChipConfig, total: Any, kinds: tuple[str, ...], layers: Any, latency: Matrix, power: Matrix,
    detail: Detail,
) -> CostReport:  # fmt: skip
    """Make the report of one network.

    Parameters
    ----------
    chip : ChipConfig
    total : TOTALS
    kinds : tuple of str
        Of its layers.
    layers : (n,) LAYER_COST
    latency, power : (n, modules) float64
    detail : Detail
    """
    parts: dict[str, Any] = {}
    if detail is not Detail.TOTALS:
        modules: list[dict[str, Any]] = [{}] * len(kinds)
        if detail is Detail.MODULES:
            modules, sums = _modules(chip, total, layers["tiles"], latency, power)
            parts = sums | _accumulator(chip, total)
        rows = layers[_LAYER_NAMES].tolist()
        parts["layers"] = tuple(
            LayerCost(kind=kind, **dict(zip(_LAYER_NAMES, row, strict=True)), **own)
            for kind, row, own in zip(kinds, rows, modules, strict=True)
        )
    return make_totals(chip_hash(chip), total, parts)


def make_totals(of_chip: str, total: Any, parts: Mapping[str, Any] = MappingProxyType({})) -> CostReport:
    """Make the report of one network from its totals, and whatever else there is."""
    values = dict(zip(TOTALS.names or (), total.item(), strict=True))
    return CostReport(
        model_version=MODEL_VERSION,
        chip_hash=of_chip,
        **{name: values[name] for name in _TOTAL_NAMES},
        **parts,
    )


def _modules(
    chip: ChipConfig, total: Any, tiles: Any, latency: Matrix, power: Matrix
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Break down each layer, and all together."""
    tile = network_tile(chip, float(total["input_buffer_kb"]), float(total["output_buffer_kb"])).area()
    areas = tiles[:, None] * np.array([getattr(tile, name) for name in _AREA_NAMES])
    matrices = latency, areas, power, power * latency[:, _TIMES]
    layers = [_breakdowns(*row) for row in zip(*(matrix.tolist() for matrix in matrices), strict=True)]
    return layers, _breakdowns(*(matrix.sum(axis=0).tolist() for matrix in matrices))


def _breakdowns(
    latency: list[float], area: list[float], power: list[float], energy: list[float]
) -> dict[str, Any]:
    return {
        "latency": LatencyBreakdown(**dict(zip(_LATENCY_NAMES, latency, strict=True))),
        "area": AreaBreakdown(**dict(zip(_AREA_NAMES, area, strict=True))),
        "power": PowerBreakdown(**dict(zip(_POWER_NAMES, power, strict=True))),
        "energy": EnergyBreakdown(**dict(zip(_ENERGY_NAMES, energy, strict=True))),
    }


def _accumulator(chip: ChipConfig, total: Any) -> dict[str, Any]:
    area, power, energy = accumulator(
        chip,
        float(total["accumulator_buffer_kb"]),
        int(total["accumulator_adders"]),
        int(total["accumulator_adder_bits"]),
    )
    return {"accumulator_area": area, "accumulator_power": power, "accumulator_energy": energy}
