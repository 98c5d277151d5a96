"""The one entry: what networks cost on a chip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from services.common.errors import ImcnasError
from services.common.layers import LayerList
from services.hw_oracle import reference
from services.hw_oracle.compiled.pack import Packed, Records, pack, pack_chip
from services.hw_oracle.compiled.records import OK
from services.hw_oracle.compiled.report import make_report, make_totals
from services.hw_oracle.compiled.run import CHUNK, SCRATCH, run, run_parallel
from services.hw_oracle.types import ChipConfig, CostReport, Detail, chip_hash


def evaluate(
    layers: LayerList, chip: ChipConfig = ChipConfig(), detail: Detail = Detail.MODULES
) -> CostReport:
    """Map, place, schedule and cost a network: one inference of it.

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
    detail : Detail
        Totals alone are made fastest.

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
    report = cost_packed(pack([layers]), chip, detail)
    return trim(reference.evaluate(layers, chip), detail) if report is None else report


def evaluate_batch(
    networks: Sequence[LayerList], chip: ChipConfig = ChipConfig(), detail: Detail = Detail.TOTALS
) -> list[CostReport | ImcnasError]:
    """Cost networks on one chip: of each its report, or the error that `evaluate` raises for it alone."""
    if detail is not Detail.TOTALS:
        return [_evaluate_or_error(network, chip, detail) for network in networks]
    chunks = (pack(networks[i : i + CHUNK]) for i in range(0, len(networks), CHUNK))
    reports = (r for totals in run_parallel(chunks, pack_chip(chip)) for r in _reports(totals, chip))
    return [
        _evaluate_or_error(network, chip, detail) if report is None else report
        for network, report in zip(networks, reports, strict=True)
    ]


def _evaluate_or_error(network: LayerList, chip: ChipConfig, detail: Detail) -> CostReport | ImcnasError:
    try:
        return evaluate(network, chip, detail)
    except ImcnasError as error:
        return error


def cost_packed(packed: Packed, chip: ChipConfig, detail: Detail) -> CostReport | None:
    """Cost one packed network, in this thread; None where the reference has to say more."""
    (total,) = run(packed, pack_chip(chip))
    if total["status"] != OK:
        return None
    if detail is Detail.TOTALS:
        return make_totals(chip_hash(chip), total)
    count = len(packed.layers)
    rows = SCRATCH.costs[:count], SCRATCH.latency[:count], SCRATCH.power[:count]
    return make_report(chip, total, packed.kinds(), *rows, detail)


def _reports(totals: Records, chip: ChipConfig) -> Iterator[CostReport | None]:
    on_chip = chip_hash(chip)
    return (make_totals(on_chip, total) if total["status"] == OK else None for total in totals)


def trim(report: CostReport, detail: Detail) -> CostReport:
    """Leave out what `detail` does not ask for."""
    if detail is Detail.MODULES:
        return report
    nothing: dict[str, Any] = dict.fromkeys(("latency", "area", "power", "energy"))
    layers = tuple(replace(layer, **nothing) for layer in report.layers) if detail is Detail.LAYERS else ()
    nothing |= dict.fromkeys(("accumulator_area", "accumulator_power", "accumulator_energy"))
    return replace(report, **nothing, layers=layers)
