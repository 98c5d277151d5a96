"""What a worker is given to do, and what it gives while it does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from services.common.errors import TrainingFailed
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
    out_of_memory : bool
        Whether it was ended because its machine had no memory left.
    took_machine : bool
        Whether its machine went away while it did the job.
    """

    def __init__(self, blames_job: bool, out_of_memory: bool = False, took_machine: bool = False) -> None:
        super().__init__("worker lost")
        self.blames_job, self.out_of_memory, self.took_machine = blames_job, out_of_memory, took_machine


class OutOfMemory(TrainingFailed):
    """A job asked for more memory than there is."""

    @classmethod
    def told_of(cls, what: object) -> OutOfMemory:
        """Say it of a job."""
        return cls(f"{what} failed: out of memory; a smaller network or batch_size needs less")
