"""Trainings in this process, one at a time: for tests, for debugging, for machines without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from services.trainer.data import Registry
from services.trainer.evaluator import Ended, Evaluator
from services.trainer.fit import train
from services.trainer.requests import OnEpoch
from services.trainer.types import AccuracyReport, EvaluationRequest


class InlineTrainer(Evaluator):
    """Evaluator with one slot, in the caller's thread, on one CPU thread."""

    def __init__(
        self, on_end: Callable[[Ended], None] | None = None, datasets: Registry | None = None
    ) -> None:
        super().__init__(1, on_end, datasets)

    def _train(self, slot: int, request: EvaluationRequest, on_epoch: OnEpoch) -> AccuracyReport:
        with _one_thread():
            for report in train(request, self._datasets.load(request.dataset), self.device):
                if isinstance(report, AccuracyReport):
                    return report
                on_epoch(report)
        raise AssertionError("a training ends with its result")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread, as every worker does, so that results are the same bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
