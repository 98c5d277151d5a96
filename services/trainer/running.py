"""Jobs on workers: who waits for one, workers that are lost, jobs that take too long or are stopped."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from services.common.closing import Closing
from services.common.errors import Cancelled, EvaluationCancelled, InvalidInput, TrainingFailed
from services.trainer.callers import Caller
from services.trainer.data import Dataset
from services.trainer.jobs import Item, Job, OutOfMemory, Result, WorkerLost
from services.trainer.slots import Slots
from services.trainer.types import AccuracyReport, EpochReport

ATTEMPTS = 3
"""How often a job is started when it may be what breaks its workers."""

MACHINES = 4
"""Machines that may go away under a job for each of these attempts: it seldom is what broke them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One job that ended, for metrics; answers from memory or cache are none.

    Parameters
    ----------
    job : {"training", "chips"}
    outcome : {"complete", "failed", "cancelled"}
    wall_s : float
        From the moment a slot was free.
    images : int
        Training images passed, over all epochs that were told.
    """

    job: Literal["training", "chips"]
    outcome: Literal["complete", "failed", "cancelled"]
    wall_s: float
    images: int


class JobRunner(Closing, ABC):
    """Does jobs, as many at once as there are slots; the other callers wait.

    Parameters
    ----------
    queue_limit : int
        Callers that may wait for a slot; 0 is no limit.
    timeout_s : float, optional
        Longest that a job may take, from when a slot was free.
    on_end : callable
        Told of every job that ended, in the thread of its caller.
    """

    def __init__(self, queue_limit: int, timeout_s: float | None, on_end: Callable[[Ended], None]) -> None:
        self._timeout_s, self._on_end = timeout_s, on_end
        self._slots: Slots[Any] = Slots(queue_limit)

    @property
    def slots(self) -> int:
        """Trainings that can run at once."""
        return self._slots.size

    @property
    def busy_slots(self) -> int:
        """Slots that train now."""
        return len(self._slots.busy)

    @property
    def queue_length(self) -> int:
        """Callers that wait for a slot."""
        return self._slots.queue_length

    @abstractmethod
    def _run(self, worker: Any, job: Job, dataset: Dataset) -> Generator[Item]:
        """Do a job on a worker, which is free again once this is closed; ends with the job's result.

        Raises
        ------
        WorkerLost
            The job is to be given to another worker.
        """

    @abstractmethod
    def _interrupt(self, worker: Any, job: str) -> None:
        """Make the job of that name end soon with Cancelled; from any thread, and without waiting."""

    def _do(
        self,
        make: Callable[[], Job],
        data: Dataset,
        caller: Caller,
        hear: Callable[[Item], None],
        *,
        admitted: bool = False,
    ) -> Result:
        """Do a job on one worker after the other until none is lost; `make` makes it for each of them.

        `admitted` is as of `Slots.take`.
        """
        outcome: Literal["complete", "failed", "cancelled"] = "cancelled"
        begun: float | None = None
        epochs = lost_workers = 0
        broken, out_of_memory = 0.0, False
        job: Job | None = None
        try:
            with self._limited(caller) as begin_to_count:
                while job is None or broken < ATTEMPTS:
                    with self._slots.take(caller, again=job is not None, admitted=admitted) as worker:
                        job = make()  # not before: others may have left more to go on from meanwhile
                        if begun is None:
                            begun = time.monotonic()
                            begin_to_count(job)
                        try:
                            with closing(self._items(worker, job, data, caller)) as items:
                                for item in items:
                                    if isinstance(item, EpochReport):
                                        epochs = max(epochs, item.epoch)
                                    if isinstance(item, Result):
                                        if isinstance(item, AccuracyReport):
                                            epochs -= item.resumed_epochs
                                        outcome = "complete"
                                        return item
                                    hear(item)
                        except WorkerLost as lost:
                            lost_workers += lost.blames_job or lost.took_machine
                            broken += 1 if lost.blames_job else lost.took_machine / MACHINES
                            out_of_memory |= lost.out_of_memory
                if out_of_memory:
                    raise OutOfMemory.told_of(job)
                raise TrainingFailed(
                    f"{job} broke {lost_workers} workers; it may need more memory than they have"
                )
        except EvaluationCancelled:
            raise
        except (TrainingFailed, InvalidInput):
            outcome = "failed"
            raise
        finally:
            if job is not None and begun is not None:
                seconds = time.monotonic() - begun
                images = epochs * data.info.train_images
                self._on_end(Ended(job=job.kind, outcome=outcome, wall_s=seconds, images=images))

    def _items(self, worker: Any, job: Job, data: Dataset, caller: Caller) -> Generator[Item]:
        """Give what a worker gives while it does a job; the caller may stop it."""
        try:
            with (
                caller.stopping(lambda: self._interrupt(worker, job.name)),
                closing(self._run(worker, job, data)) as items,
            ):
                yield from items
        except (Cancelled, WorkerLost):
            caller.check()  # why it was cancelled, or its worker killed
            raise
        raise AssertionError("a job ends with its result")

    @contextmanager
    def _limited(self, caller: Caller) -> Iterator[Callable[[Job], None]]:
        """Stop the caller when its job takes too long, from when what this gives is called with it."""
        timers: list[threading.Timer] = []

        def begin(job: Job) -> None:
            if self._timeout_s is not None:
                text = f"{job} took more than the {self._timeout_s:g} s that it may take"
                timers.append(threading.Timer(self._timeout_s, caller.stop, (TrainingFailed(text),)))
                timers[0].daemon = True
                timers[0].start()

        try:
            yield begin
        finally:
            for timer in timers:
                timer.cancel()
