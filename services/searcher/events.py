"""What a running search tells live views, watchers and metrics."""

from __future__ import annotations

from dataclasses import dataclass

from services.searcher.types import StudyConfig, StudyStatus, Trial
from services.trainer.types import EpochReport


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStarted:
    """A search starts or goes on; `trials` are those it has already, running ones to be trained again."""

    study_id: str
    config: StudyConfig
    trials: tuple[Trial, ...]
    trials_wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A trial is recorded and its training begins."""

    study_id: str
    trial: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone:
    """A running trial's training has finished an epoch."""

    study_id: str
    number: int
    report: EpochReport


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFinished:
    """A trial is committed as complete or failed."""

    study_id: str
    trial: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFinished:
    """A search has ended: finished, cancelled or failed."""

    status: StudyStatus


Event = SearchStarted | TrialStarted | EpochDone | TrialFinished | SearchFinished
