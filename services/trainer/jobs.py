"""What a worker is given to do, and what it gives while it does it."""

from __future__ import annotations

from dataclasses import dataclass

from services.trainer.types import AccuracyReport, Checkpoint, EpochReport, EvaluationRequest, Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """A training.

    Parameters
    ----------
    name : str
        Of this job alone, to stop it by.
    request : EvaluationRequest
    resume : bytes or None
        Data of a Checkpoint of the same trunk, for at most as many epochs; None begins at the beginning.
    """

    name: str
    request: EvaluationRequest
    resume: bytes | None = None


Item = EpochReport | Checkpoint | Weights | AccuracyReport
"""An AccuracyReport is the last one."""


class WorkerLost(Exception):
    """The worker is gone, and its job may be given to another one.

    Parameters
    ----------
    blames_job : bool
        Whether the job may be what broke it; a machine that went away was not broken by a job.
    """

    def __init__(self, blames_job: bool) -> None:
        super().__init__("worker lost")
        self.blames_job = blames_job
