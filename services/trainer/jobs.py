"""What a worker is given to do, and what it gives while it does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from services.trainer.analog_types import AnalogReport, ChipDraw, OnChipRequest
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

    kind: ClassVar[Literal["training"]] = "training"

    name: str
    request: EvaluationRequest
    resume: bytes | None = None

    def __str__(self) -> str:
        return f"training of {self.request.candidate}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipJob:
    """A trained candidate to be judged on chips.

    Parameters
    ----------
    name : str
        Of this job alone, to stop it by.
    request : OnChipRequest
    weights : bytes
        What it has learnt, as safetensors.
    """

    kind: ClassVar[Literal["chips"]] = "chips"

    name: str
    request: OnChipRequest
    weights: bytes

    def __str__(self) -> str:
        return f"evaluation of {self.request.evaluation.candidate} on chips"


Job = TrainJob | ChipJob

Result = AccuracyReport | AnalogReport
"""Of a training, and of an evaluation on chips."""

Item = EpochReport | Checkpoint | Weights | ChipDraw | Result
"""A Result is the last one."""


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
