"""What crosses the oracle's door: the chip and what a network costs on it. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Self

from services.common.errors import ErrorReport
from services.hw_oracle.chip import (
    AdcConfig,
    AdcConversion,
    BufferConfig,
    ChipConfig,
    CrossbarConfig,
    DacConfig,
    DeviceConfig,
    DeviceKind,
    DigitalConfig,
    GroupedMapping,
    PeConfig,
    PimType,
    Pipeline,
    Placement,
    PoolingConfig,
    TileConfig,
    chip_hash,
)

__all__ = [
    "CANDIDATE_COLUMNS",
    "AdcConfig",
    "AdcConversion",
    "AreaBreakdown",
    "BufferConfig",
    "CandidateCosts",
    "CandidateError",
    "ChipConfig",
    "CostReport",
    "CrossbarConfig",
    "DacConfig",
    "Detail",
    "DeviceConfig",
    "DeviceKind",
    "DigitalConfig",
    "EnergyBreakdown",
    "GroupedMapping",
    "LatencyBreakdown",
    "LayerCost",
    "PeConfig",
    "PimType",
    "Pipeline",
    "Placement",
    "PoolingConfig",
    "PowerBreakdown",
    "TileConfig",
    "chip_hash",
    "merge_costs",
]


class Detail(StrEnum):
    """How much of a report is made."""

    TOTALS = "totals"
    LAYERS = "layers"
    """Totals, and each layer without its modules."""
    MODULES = "modules"
    """All there is."""


class _Breakdown:
    """One quantity by module; each subclass has one number a module, all of one unit."""

    __slots__ = ()

    @classmethod
    def sum(cls, parts: Iterable[Self]) -> Self:
        """Add breakdowns module by module; of none it is zero."""
        listed: list[Any] = list(parts)
        names = [f.name for f in fields(cls)]  # type: ignore[arg-type]  # every subclass is a dataclass
        return cls(**{name: sum(getattr(part, name) for part in listed) + 0.0 for name in names})

    def times(self, factor: float) -> Self:
        """Scale each module."""
        names = [f.name for f in fields(self)]  # type: ignore[arg-type]  # every subclass is a dataclass
        return type(self)(**{name: getattr(self, name) * factor for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyBreakdown(_Breakdown):
    """Busy time by module, summed over a layer's output points.

    Reading the tile's output buffer is part of `buffer_read_ns` and again of `tile_merge_ns`: the modules
    of a conv2d or linear layer sum to its busy time plus that read. `elementwise_ns` is the unit of add
    and multiply.
    """

    crossbar_ns: float = 0.0
    dac_ns: float = 0.0
    adc_ns: float = 0.0
    adder_ns: float = 0.0
    shift_register_ns: float = 0.0
    input_register_ns: float = 0.0
    output_register_ns: float = 0.0
    input_demux_ns: float = 0.0
    output_mux_ns: float = 0.0
    joint_module_ns: float = 0.0
    elementwise_ns: float = 0.0
    pooling_ns: float = 0.0
    buffer_read_ns: float = 0.0
    buffer_write_ns: float = 0.0
    intra_tile_ns: float = 0.0
    tile_merge_ns: float = 0.0
    tile_transfer_ns: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaBreakdown(_Breakdown):
    """Area by module."""

    crossbar_um2: float = 0.0
    dac_um2: float = 0.0
    adc_um2: float = 0.0
    adder_um2: float = 0.0
    shift_register_um2: float = 0.0
    input_register_um2: float = 0.0
    output_register_um2: float = 0.0
    input_demux_um2: float = 0.0
    output_mux_um2: float = 0.0
    joint_module_um2: float = 0.0
    pooling_um2: float = 0.0
    buffer_um2: float = 0.0

    @property
    def total_um2(self) -> float:
        """Sum of all modules."""
        return _total(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerBreakdown(_Breakdown):
    """Power by module, each while it works."""

    crossbar_w: float = 0.0
    dac_w: float = 0.0
    adc_w: float = 0.0
    adder_w: float = 0.0
    shift_register_w: float = 0.0
    input_register_w: float = 0.0
    output_register_w: float = 0.0
    input_demux_w: float = 0.0
    output_mux_w: float = 0.0
    joint_module_w: float = 0.0
    pooling_w: float = 0.0
    buffer_read_w: float = 0.0
    buffer_write_w: float = 0.0

    @property
    def total_w(self) -> float:
        """Sum of all modules."""
        return _total(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyBreakdown(_Breakdown):
    """Energy by module of one inference."""

    crossbar_nj: float = 0.0
    dac_nj: float = 0.0
    adc_nj: float = 0.0
    adder_nj: float = 0.0
    shift_register_nj: float = 0.0
    input_register_nj: float = 0.0
    output_register_nj: float = 0.0
    input_demux_nj: float = 0.0
    output_mux_nj: float = 0.0
    joint_module_nj: float = 0.0
    pooling_nj: float = 0.0
    buffer_read_nj: float = 0.0
    buffer_write_nj: float = 0.0

    @property
    def total_nj(self) -> float:
        """Sum of all modules but the adder, whose energy MNSIM 2.0 reports and does not total."""
        return _total(self, but="adder_nj")  # left out, not taken off: it may be a thousand times the rest


def _total(breakdown: Any, but: str = "") -> float:
    return float(sum(getattr(breakdown, f.name) for f in fields(breakdown) if f.name != but))


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One layer on the chip.

    Parameters
    ----------
    kind : str
        As in `services.common.layers`.
    pes_across, pes_down : int
        PEs that output channels and bit slices are split over, and those that inputs are split over.
    pes, tiles, first_tile : int
        PEs and tiles taken (add and multiply take none), and the number of the first.
    pes_per_tile : int
        PEs in use in a full tile.
    crossbars : int
        Physical crossbars that hold weights.
    rows_used, columns_used, groups_used : int
        Of a PE, at most.
    merge_distance_hops, transfer_distance_hops : float
        To the layer's own aggregation tile, and from there to the farthest consumer.
    begin_ns, finish_ns : float
        Begin of the first and finish of the last output point.
    occupancy_frac : float
        Share of that interval in which the layer works.
    area_um2, power_w, energy_nj : float
        What the layer adds to the totals.
    latency, area, power, energy : breakdowns
        With detail `MODULES`.
    """

    kind: str
    pes_across: int
    pes_down: int
    pes: int
    tiles: int
    first_tile: int
    pes_per_tile: int
    crossbars: int
    rows_used: int
    columns_used: int
    groups_used: int
    merge_distance_hops: float
    transfer_distance_hops: float
    begin_ns: float
    finish_ns: float
    occupancy_frac: float
    area_um2: float
    power_w: float
    energy_nj: float
    latency: LatencyBreakdown | None = None
    area: AreaBreakdown | None = None
    power: PowerBreakdown | None = None
    energy: EnergyBreakdown | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """What one inference of a network costs on a chip.

    Parameters
    ----------
    model_version : str
        Version of the equations.
    chip_hash : str
        `chip_hash` of the chip.
    latency_ns : float
        From the input's arrival to the last output.
    area_um2 : float
        Of the tiles in use.
    power_w : float
        Sum over all modules of all layers as if all worked at once, as MNSIM 2.0 has it.
    energy_nj : float
    tiles, pes, crossbars : int
        In use; crossbars are physical ones.
    latency, area, power, energy : breakdowns
        Sums over the layers, with detail `MODULES`.
    accumulator_area, accumulator_power, accumulator_energy : breakdowns
        Adders and buffer of the chip's accumulator for add and multiply, with detail `MODULES`. As in
        MNSIM 2.0 no total holds them.
    layers : tuple of LayerCost
        In the order of the network's layers; none with detail `TOTALS`.
    """

    model_version: str
    chip_hash: str
    latency_ns: float
    area_um2: float
    power_w: float
    energy_nj: float
    tiles: int
    pes: int
    crossbars: int
    latency: LatencyBreakdown | None = None
    area: AreaBreakdown | None = None
    power: PowerBreakdown | None = None
    energy: EnergyBreakdown | None = None
    accumulator_area: AreaBreakdown | None = None
    accumulator_power: PowerBreakdown | None = None
    accumulator_energy: EnergyBreakdown | None = None
    layers: tuple[LayerCost, ...] = ()

    @property
    def average_power_w(self) -> float:
        """Energy over latency."""
        return self.energy_nj / self.latency_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateError:
    """Why one candidate of many was not evaluated.

    Parameters
    ----------
    index : int
        Its place among them.
    error : ErrorReport
    """

    index: int
    error: ErrorReport


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateCosts:
    """What candidates cost: each tuple has a value a candidate, in order; NaN and 0 for one that failed.

    Parameters
    ----------
    model_version, chip_hash : str
    latency_ns, energy_nj, area_um2, power_w : tuple of float
        As in `CostReport`.
    tiles, crossbars : tuple of int
    macs, params : tuple of int
        As `services.common.layers` has them.
    errors : tuple of CandidateError
        Of those that failed.
    """

    model_version: str
    chip_hash: str
    latency_ns: tuple[float, ...]
    energy_nj: tuple[float, ...]
    area_um2: tuple[float, ...]
    power_w: tuple[float, ...]
    tiles: tuple[int, ...]
    crossbars: tuple[int, ...]
    macs: tuple[int, ...]
    params: tuple[int, ...]
    errors: tuple[CandidateError, ...] = ()


CANDIDATE_COLUMNS = ("latency_ns", "energy_nj", "area_um2", "power_w", "tiles", "crossbars", "macs", "params")
"""Fields of `CandidateCosts` with a value a candidate."""


def merge_costs(parts: Sequence[CandidateCosts]) -> CandidateCosts:
    """Put the costs of candidates together, in order; of at least one part."""
    columns: dict[str, Any] = {
        name: tuple(v for part in parts for v in getattr(part, name)) for name in CANDIDATE_COLUMNS
    }
    errors, first = [], 0
    for part in parts:
        errors += [replace(error, index=first + error.index) for error in part.errors]
        first += len(part.latency_ns)
    return replace(parts[0], **columns, errors=tuple(errors))
