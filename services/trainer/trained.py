"""All that is known of one trained candidate, and its form for programs. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import services
from services.common.candidate import candidate_layers
from services.common.codec import to_jsonable
from services.common.layers import Bits, LayerList, macs, params
from services.common.network_json import network_to_json
from services.trainer.analog_types import AnalogReport, ChipAccuracy
from services.trainer.types import AccuracyReport, DatasetInfo, EvaluationRequest, stderr_frac


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareCost:
    """What one inference costs on a chip, as the oracle told it.

    Parameters
    ----------
    latency_ns, energy_nj, area_um2 : float
    power_w : float
        Of all modules at once.
    average_power_w : float
        energy_nj / latency_ns.
    tiles : int
    chip_hash, model_version : str
    """

    latency_ns: float
    energy_nj: float
    area_um2: float
    power_w: float
    average_power_w: float
    tiles: int
    chip_hash: str
    model_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A candidate that was trained.

    Parameters
    ----------
    request : EvaluationRequest
    dataset : DatasetInfo
    report : AccuracyReport
    chip : str
        Name of the chip that `hardware` and `on_chip` are about.
    bits : Bits
        Of every layer, there.
    hardware : HardwareCost, optional
        None where it does not fit the chip.
    on_chip : AnalogReport, optional
        None where nobody asked for it.
    """

    request: EvaluationRequest
    dataset: DatasetInfo
    report: AccuracyReport
    chip: str = ""
    bits: Bits = Bits()
    hardware: HardwareCost | None = None
    on_chip: AnalogReport | None = None

    @property
    def network(self) -> LayerList:
        """The network as the chip sees it."""
        data = self.dataset
        return candidate_layers(self.request.candidate, data.input_shape, data.classes, self.bits)

    @property
    def test_stderr_frac(self) -> float | None:
        """Standard error of the accuracy on the test part, if that was judged."""
        accuracy = self.report.test_accuracy_frac
        return None if accuracy is None else stderr_frac(accuracy, self.dataset.test_images)


def trained_row(trained: Trained) -> dict[str, Any]:
    """Tell all of it as dictionaries for JSON, with the names that a study's best.json has."""
    request, network, hardware = trained.request, trained.network, trained.hardware
    cost = to_jsonable(hardware) if hardware else {}
    versions = {
        "imcnas": services.__version__,
        "torch": trained.report.torch_version,
        "cost_model": cost.pop("model_version", ""),
        "chip_hash": cost.pop("chip_hash", ""),
    }
    return {
        "blocks": str(request.candidate),
        "candidate": to_jsonable(request.candidate),
        "network_key": trained.report.network_key,
        "params": params(network),
        "macs": macs(network),
        "accuracy": to_jsonable(trained.report),
        "test_accuracy_stderr_frac": trained.test_stderr_frac,
        "chip_name": trained.chip,
        "cost": cost or None,
        "on_chip": _analog_row(trained.on_chip) if trained.on_chip else None,
        "dataset": to_jsonable(trained.dataset),
        "recipe": to_jsonable(request.recipe),
        "epochs": request.epochs,
        "seed": request.seed,
        "versions": versions,
        "network": network_to_json(network),
    }


def _analog_row(report: AnalogReport) -> dict[str, Any]:
    row: dict[str, Any] = to_jsonable(report)
    for name, accuracy in (("folded", report.folded), ("exact", report.exact)):
        if accuracy is not None:
            row[name] |= _spread(accuracy)
    if math.isinf(report.config.on_off_ratio):  # which JSON cannot say
        row["config"]["on_off_ratio"] = "inf"
    return row


def _spread(accuracy: ChipAccuracy) -> dict[str, float]:
    return {name: getattr(accuracy, name) for name in ("mean_frac", "deviation_frac", "worst_frac")}
