"""What every trainer does, wherever it trains: slots, waiting, request ids, closing.

Callers may be many threads; `evaluate` blocks until its result is there. At most `slots` trainings run
at once, the other callers wait.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import services
from services.common.closing import Closing
from services.common.errors import Cancelled, InvalidRequest, TrainingFailed, Unavailable, violation
from services.trainer.data import Registry
from services.trainer.requests import OnEpoch, RequestMemory
from services.trainer.types import (
    AccuracyReport,
    DatasetInfo,
    EpochReport,
    EvaluationRequest,
    TrainerInfo,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One training that ended, for metrics; answers from memory are none.

    Parameters
    ----------
    outcome : {"complete", "failed", "cancelled"}
    wall_s : float
        From the moment a slot was free.
    images : int
        Training images passed, over all epochs.
    """

    outcome: Literal["complete", "failed", "cancelled"]
    wall_s: float
    images: int


class Evaluator(Closing, ABC):
    """Trains candidates and reports their accuracy.

    Parameters
    ----------
    slots : int
        Trainings at once.
    on_end : callable, optional
        Told of every training that ended, in the thread of its caller.
    datasets : Registry, optional
        What can be trained on; without it, what needs no files.

    Attributes
    ----------
    slots : int
    busy_slots : int
        Slots that train now.
    queue_length : int
        Callers that wait for a slot.
    """

    device = "cpu"

    def __init__(
        self,
        slots: int,
        on_end: Callable[[Ended], None] | None = None,
        datasets: Registry | None = None,
    ) -> None:
        if slots < 1:
            raise InvalidRequest.of(violation("slots", slots, "1 or more"))
        self.slots = slots
        self.queue_length = 0
        self._on_end = on_end or (lambda ended: None)
        self._datasets = datasets or Registry()
        self._free = list(range(slots))
        self._changed = threading.Condition()
        self._closed = False
        self._memory = RequestMemory()

    @property
    def busy_slots(self) -> int:
        """Slots that train now."""
        return self.slots - len(self._free)

    def evaluate(
        self, request: EvaluationRequest, on_epoch: Callable[[EpochReport], None] | None = None
    ) -> AccuracyReport:
        """Train a candidate and give its accuracy.

        Parameters
        ----------
        request : EvaluationRequest
        on_epoch : callable, optional
            Called in this thread after each epoch, once an epoch. What it raises stops the training
            and is raised here.

        Raises
        ------
        InvalidCandidate, InvalidRequest, NotFound
            The request is wrong.
        InvalidDataset
            A file of the data set is damaged.
        TrainingFailed
            This candidate diverged or broke its worker; others go on.
        Cancelled
            The trainer was closed meanwhile.
        Unavailable
            The trainer is closed, or has no worker to train on.
        """
        self._datasets.load(request.dataset)  # an unknown name is refused before anything waits
        if self._closed:
            raise Unavailable("the trainer is closed")
        return self._memory.run(request, _once_each(on_epoch), self._in_slot)

    def dataset(self, name: str) -> DatasetInfo:
        """Describe a data set; NotFound if there is none of that name, InvalidDataset if it is damaged."""
        return self._datasets.load(name).info

    def info(self) -> TrainerInfo:
        """Say what this trainer is."""
        return TrainerInfo(
            version=services.__version__,
            torch_version=version("torch"),
            ray_version=self._ray_version(),
            device=self.device,
            slots=self.slots,
            datasets=self._datasets.names(),
        )

    def close(self) -> None:
        """Stop: trainings end as soon as they can, every waiting caller gets Cancelled. Twice is once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @abstractmethod
    def _train(self, slot: int, request: EvaluationRequest, on_epoch: OnEpoch) -> AccuracyReport:
        """Train in a slot that nobody else has, 0 <= slot < slots."""

    def _ray_version(self) -> str:
        return ""

    def _in_slot(self, request: EvaluationRequest, on_epoch: OnEpoch) -> AccuracyReport:
        outcome: Literal["complete", "failed", "cancelled"] = "cancelled"
        epochs = 0

        def tell(epoch: EpochReport) -> None:
            nonlocal epochs
            self._check_open()
            epochs += 1
            on_epoch(epoch)

        slot = self._take_slot()
        started = time.monotonic()
        try:
            report = self._train(slot, request, tell)
            outcome = "complete"
            return report
        except TrainingFailed:
            outcome = "failed"
            raise
        finally:
            with self._changed:
                self._free.append(slot)
                self._changed.notify_all()
            images = epochs * self._datasets.load(request.dataset).info.train_images
            self._on_end(Ended(outcome=outcome, wall_s=time.monotonic() - started, images=images))

    def _take_slot(self) -> int:
        with self._changed:
            self.queue_length += 1
            try:
                self._changed.wait_for(lambda: self._free or self._closed)
            finally:
                self.queue_length -= 1
            self._check_open()
            return self._free.pop()

    def _check_open(self) -> None:
        if self._closed:
            raise Cancelled("the trainer was closed before this evaluation ended")


def _once_each(on_epoch: OnEpoch | None) -> OnEpoch:
    """Hide the epochs of a training that had to start again until it gets beyond the last one told."""
    told = 0

    def tell(epoch: EpochReport) -> None:
        nonlocal told
        if on_epoch is not None and epoch.epoch > told:
            told = epoch.epoch
            on_epoch(epoch)

    return tell
