"""Trainings in this process, one at a time: for tests, for debugging, for machines without Ray."""

from __future__ import annotations

from collections.abc import Generator
from typing import Unpack

from services.trainer.data import Dataset
from services.trainer.evaluator import Evaluator, Options
from services.trainer.jobs import Item, Job
from services.trainer.types import NodeInfo
from services.trainer.worker import Worker


class InlineTrainer(Evaluator):
    """Evaluator with one slot, in the caller's thread, on one CPU thread.

    Parameters
    ----------
    **options
        As of Evaluator.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self._slots.add(Worker(self.device))

    def _run(self, worker: Worker, job: Job, dataset: Dataset) -> Generator[Item]:
        if not worker.holds(dataset.info.fingerprint):
            worker.attach(dataset)
        return worker.run(job, dataset.info.fingerprint)

    def _interrupt(self, worker: Worker, job: str) -> None:
        worker.stop(job)

    def _nodes(self) -> tuple[NodeInfo, ...]:
        return (NodeInfo(name="this process", devices="cpu", slots=1, busy_slots=self.busy_slots),)
