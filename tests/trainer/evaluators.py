"""Requests, results and evaluators that tests of trainers share."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, Unpack

from services.common.candidate import parse_candidate
from services.trainer.data import Dataset
from services.trainer.evaluator import Evaluator, Options
from services.trainer.jobs import Item, TrainJob
from services.trainer.types import AccuracyReport, EvaluationRequest, NodeInfo, TrainRecipe


def request(blocks: str = "VGG4", **changes: Any) -> EvaluationRequest:
    values: dict[str, Any] = {"dataset": "digits", "recipe": TrainRecipe(name="short", epochs=2)} | changes
    return EvaluationRequest(candidate=parse_candidate(blocks), **values)


def learnt(report: AccuracyReport) -> list[tuple[float, float]]:
    """What a training computed, without the times it took."""
    return [(e.train_loss_nats, e.validation_accuracy_frac) for e in report.epochs]


class Scripted(Evaluator):
    """Does with each job what it is told; its workers are numbers.

    Parameters
    ----------
    run : callable
        Given a job, gives its items.
    slots : int
    """

    def __init__(
        self, run: Callable[[TrainJob], Iterable[Item]], slots: int = 1, **options: Unpack[Options]
    ) -> None:
        super().__init__(**options)
        self.run = run
        for worker in range(slots):
            self._slots.add(worker)

    def _run(self, worker: int, job: TrainJob, dataset: Dataset) -> Generator[Item]:
        yield from self.run(job)

    def _interrupt(self, worker: int, job: str) -> None:
        pass

    def _nodes(self) -> tuple[NodeInfo, ...]:
        return ()
