"""What is trained in this process is kept in the runs folder: results, weights, checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.trainer.artifacts import Artifacts
    from services.trainer.cache import ResultCache

RESULTS, ARTIFACTS = "evaluations.sqlite", "artifacts"


def embedded_cache(runs: Path) -> ResultCache:
    """Open the results of a runs folder, made where absent.

    Raises
    ------
    InvalidRequest
        They cannot be opened.
    """
    from services.trainer.cache import ResultCache

    return ResultCache(runs / RESULTS)


def embedded_artifacts(runs: Path) -> Artifacts:
    """Open the weights and checkpoints of a runs folder, made where absent.

    Raises
    ------
    InvalidRequest
        The folder cannot be made.
    """
    from services.trainer.artifacts import Artifacts

    return Artifacts(runs / ARTIFACTS)
