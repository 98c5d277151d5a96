"""The oracle in this process, with the calls that its service has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from services import __version__
from services.common.candidate import Candidate
from services.common.errors import (
    ErrorReport,
    ImcnasError,
    NotFound,
    check_type,
    error_report,
    one_of,
    violation,
)
from services.common.layers import Bits, LayerList, Shape
from services.common.space import SearchSpace, number_blocks
from services.hw_oracle import cost, reference
from services.hw_oracle.candidates import NumberedCandidates, cost_candidates
from services.hw_oracle.chips import PRESETS, read_chip
from services.hw_oracle.info import ChipInfo, OracleInfo
from services.hw_oracle.types import CandidateCosts, ChipConfig, CostReport, Detail, chip_hash
from services.hw_oracle.version import MODEL_VERSION


def evaluate(
    layers: LayerList, chip: ChipConfig | str = ChipConfig(), detail: Detail = Detail.MODULES
) -> CostReport:
    """Cost of one inference of `layers` on `chip` or, by its name, on a preset.

    Raises
    ------
    NotFound
        No preset of that name.
    ImcnasError
        As `services.hw_oracle.cost.evaluate` does.
    """
    return cost.evaluate(layers, preset(chip), detail)


def evaluate_batch(
    networks: Sequence[LayerList], chip: ChipConfig | str = ChipConfig(), detail: Detail = Detail.TOTALS
) -> list[CostReport | ImcnasError]:
    """Cost of each network, or the error that it alone would raise."""
    return cost.evaluate_batch(networks, preset(chip), detail)


def evaluate_candidates(
    space: SearchSpace,
    candidates: Sequence[Candidate],
    input_shape: Shape,
    classes: int,
    chip: ChipConfig | str = ChipConfig(),
    bits: Bits = Bits(),
) -> CandidateCosts:
    """Costs of candidates of a space, on all cores."""
    depths, choices = number_blocks(space, candidates)
    return cost_candidates(
        NumberedCandidates(
            space=space,
            input_shape=input_shape,
            classes=classes,
            bits=bits,
            chip=preset(chip),
            depths=np.array(depths, np.int64),
            choices=np.array(choices, np.int64),
        )
    )


def validate(layers: LayerList, chip: ChipConfig | str = ChipConfig()) -> tuple[ErrorReport, ...]:
    """Say what is wrong with a network on a chip: nothing, if it can be evaluated."""
    try:
        reference.evaluate(layers, preset(chip))
    except ImcnasError as error:
        return (error_report(error),)
    return ()


def chips() -> tuple[ChipInfo, ...]:
    """Chips that come with the oracle, by name."""
    return tuple(map(_chip_info, PRESETS))


def chip(name: str) -> ChipConfig:
    """All of a chip that comes with the oracle; NotFound if there is none of that name."""
    return preset(name, "name")


def info() -> OracleInfo:
    """Say what this oracle is."""
    return OracleInfo(version=__version__, model_version=MODEL_VERSION, presets=PRESETS)


def preset(chip: ChipConfig | str, field: str = "preset") -> ChipConfig:
    """Load a preset by its name alone, which came in `field`: a caller elsewhere opens no files here."""
    if isinstance(chip, ChipConfig):
        return chip
    check_type("chip", chip, str, ChipConfig)
    if chip not in PRESETS:
        wrong = violation(field, chip, one_of(PRESETS, chip))
        raise NotFound(str(wrong), [wrong])
    return _preset(chip).chip


def _chip_info(name: str) -> ChipInfo:
    named = _preset(name)
    return ChipInfo(name=name, title=named.title, chip_hash=chip_hash(named.chip))


_preset = lru_cache(read_chip)
