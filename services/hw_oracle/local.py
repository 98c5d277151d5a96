"""The oracle in this process, with the calls that its service has."""

from __future__ import annotations

from services import __version__
from services.common.errors import NotFound, one_of, violation
from services.common.layers import LayerList
from services.hw_oracle import cost
from services.hw_oracle.chips import PRESETS, load_chip
from services.hw_oracle.info import OracleInfo
from services.hw_oracle.types import ChipConfig, CostReport
from services.hw_oracle.version import MODEL_VERSION


def evaluate(layers: LayerList, chip: ChipConfig | str = ChipConfig()) -> CostReport:
    """Cost of one inference of `layers` on `chip` or, by its name, on a preset.

    Raises
    ------
    NotFound
        No preset of that name.
    ImcnasError
        As `services.hw_oracle.cost.evaluate` does.
    """
    return cost.evaluate(layers, _preset(chip) if isinstance(chip, str) else chip)


def info() -> OracleInfo:
    """Say what this oracle is."""
    return OracleInfo(version=__version__, model_version=MODEL_VERSION, presets=tuple(PRESETS))


def _preset(name: str) -> ChipConfig:
    """Load a preset by its name alone: a caller elsewhere opens no files here."""
    if name not in PRESETS:
        wrong = violation("preset", name, one_of(PRESETS, name))
        raise NotFound(str(wrong), [wrong])
    return load_chip(name)
