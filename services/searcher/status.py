"""A study at one moment, computed from its trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from services.searcher.pareto import Point, hypervolume
from services.searcher.ranking import best_trial, trial_front
from services.searcher.rows import StudyRecord
from services.searcher.types import StudyStatus, StudySummary, Trial, TrialState


def study_status(record: StudyRecord, trials: Sequence[Trial]) -> StudyStatus:
    """Count, rank and compare the trials of a study."""
    counts = Counter(trial.state for trial in trials)
    return StudyStatus(
        study_id=record.study_id,
        config=record.config,
        state=record.state,
        trials_wanted=record.trials_wanted,
        complete=counts[TrialState.COMPLETE],
        failed=counts[TrialState.FAILED],
        running=counts[TrialState.RUNNING],
        best=best_trial(trials),
        front=trial_front(record.config, trials),
        failure=record.failure,
        note=record.note,
    )


def study_summary(record: StudyRecord, counts: Counter[TrialState]) -> StudySummary:
    """Tell of a study in a line."""
    return StudySummary(
        study_id=record.study_id,
        name=record.config.name,
        state=record.state,
        objective=record.config.objective,
        trials_wanted=record.trials_wanted,
        complete=counts[TrialState.COMPLETE],
        failed=counts[TrialState.FAILED],
        running=counts[TrialState.RUNNING],
        created_at=record.created_at,
        failure=record.failure,
    )


def latency_hypervolume(trials: Sequence[Trial], reference_latency_ns: float) -> float:
    """Area of (accuracy, latency) that the trials dominate, as a fraction of 0..1 x 0..reference."""
    points: list[Point] = [
        (trial.cost.latency_ns / reference_latency_ns, -trial.accuracy_frac)
        for trial in trials
        if trial.accuracy is not None
    ]
    return hypervolume(points, (1.0, 0.0))
