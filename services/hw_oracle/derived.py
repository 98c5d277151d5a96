"""Figures that architects ask for, derived from a report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from services.common.errors import InvalidRequest, violation
from services.common.layers import Conv2d, LayerList, Linear, macs, weights
from services.common.units import NS_PER_S, UM2_PER_MM2
from services.hw_oracle.types import ChipConfig, CostReport, LayerCost, Pipeline

OPERATIONS_PER_MAC = 2
"""A multiplication and an addition."""


_OF_REPORT = (
    "latency_ns",
    "energy_nj",
    "area_um2",
    "power_w",
    "average_power_w",
    "tiles",
    "pes",
    "crossbars",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFigures:
    """What follows from a report; a ratio to nothing is 0.

    Parameters
    ----------
    throughput_ips : float
        Inferences a second. Of the steady pipeline: one in the busy time of the slowest layer; of a chip
        that does not pipeline: one in the latency.
    average_power_w : float
        Energy over latency of one inference.
    tops : float
        10**12 operations a second at that throughput, a multiply-accumulate counted as two.
    tops_per_w : float
        From the energy of one inference: 10**12 operations a joule.
    tops_per_mm2 : float
        Of the tiles in use.
    utilization_frac : float
        Cells that hold a weight's bits among all cells of the crossbars in use.
    bottleneck_layer : int
        Index of the layer that works longest.
    """

    throughput_ips: float
    average_power_w: float
    tops: float
    tops_per_w: float
    tops_per_mm2: float
    utilization_frac: float
    bottleneck_layer: int


TOTALS = tuple(dict.fromkeys((*_OF_REPORT, *(f.name for f in fields(DerivedFigures)))))
"""What `totals` names, in its order."""


def derive(network: LayerList, chip: ChipConfig, report: CostReport) -> DerivedFigures:
    """Derive the figures from what `network` costs on `chip`.

    Raises
    ------
    InvalidRequest
        The report is not one of detail `MODULES`.
    """
    if report.latency is None:
        raise InvalidRequest.of(violation("report", "a report without modules", "one with detail modules"))
    busy = [busy_ns(layer) for layer in report.layers]
    slowest_ns = max(busy)
    interval_ns = report.latency_ns if chip.pipeline is Pipeline.NONE else slowest_ns
    operations = OPERATIONS_PER_MAC * macs(network)
    tops = operations / interval_ns * 1e-3  # operations a ns are 10**9 a second
    crossbar = chip.tile.pe.crossbar
    return DerivedFigures(
        throughput_ips=NS_PER_S / interval_ns,
        average_power_w=report.average_power_w,
        tops=tops,
        tops_per_w=_ratio(operations * 1e-3, report.energy_nj),
        tops_per_mm2=_ratio(tops, report.area_um2 / UM2_PER_MM2),
        utilization_frac=_ratio(
            _cells_used(network, chip), report.crossbars * crossbar.rows * crossbar.columns
        ),
        bottleneck_layer=busy.index(slowest_ns),
    )


def totals(report: CostReport, figures: DerivedFigures) -> dict[str, float]:
    """Every total of a report, and what is derived from it, by name."""
    return {name: getattr(report, name) for name in _OF_REPORT} | asdict(figures)


def busy_ns(layer: LayerCost) -> float:
    """Time in which a layer works, without waiting, to the rounding of its span."""
    if layer.latency is None or layer.kind in (Conv2d.kind, Linear.kind):
        # the modules of these count the output buffer's reading twice
        return layer.occupancy_frac * (layer.finish_ns - layer.begin_ns)
    return float(sum(getattr(layer.latency, f.name) for f in fields(layer.latency)))


def _cells_used(network: LayerList, chip: ChipConfig) -> int:
    """Cells that hold weights: one a bit, two on differential crossbars, which save the sign's bit."""
    differential = chip.tile.pe.differential
    return sum(
        count * (network.layers[index].bits.weight_bits - differential) * (1 + differential)
        for index, count in enumerate(weights(network))
    )


def _ratio(value: float, by: float) -> float:
    return value / by if by else 0.0
