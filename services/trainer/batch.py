"""Many evaluations in one call, as many at once as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from services.common.errors import ImcnasError, InvalidRequest, violation
from services.trainer.callers import OnEpoch
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest

MAX_BATCH = 1000
"""Most evaluations of one batch."""

AHEAD = 2
"""Evaluations of a batch that wait for a slot; more would only stand in the way of other callers."""

Outcome = AccuracyReport | ImcnasError
OnBatchEpoch = Callable[[int, EpochReport], None]


def check_batch(size: int) -> None:
    """Raise InvalidRequest for more evaluations than a batch may have."""
    if size > MAX_BATCH:
        wanted = f"at most {MAX_BATCH:,} evaluations in a batch"
        raise InvalidRequest.of(violation("evaluations", size, wanted, "send several batches"))


def run_batch(
    evaluate: Callable[[EvaluationRequest, OnEpoch], AccuracyReport],
    requests: Sequence[EvaluationRequest],
    at_once: int,
    on_epoch: OnBatchEpoch | None,
) -> Iterator[tuple[int, Outcome]]:
    """Evaluate, each in a thread; yield a request's number and what became of it, as they end.

    An iterator that is closed lets those end that have begun, and begins no more.
    """
    check_batch(len(requests))
    news: SimpleQueue[tuple[int, EpochReport | Outcome | BaseException]] = SimpleQueue()

    def run(index: int) -> None:
        try:
            news.put((index, evaluate(requests[index], lambda epoch: news.put((index, epoch)))))
        except BaseException as error:  # raised where the batch was asked for
            news.put((index, error))

    threads = ThreadPoolExecutor(at_once, thread_name_prefix="batch")
    try:
        for index in range(len(requests)):
            threads.submit(run, index)
        running = len(requests)
        while running:
            index, item = news.get()
            if isinstance(item, EpochReport):
                if on_epoch is not None:
                    on_epoch(index, item)
            elif isinstance(item, Outcome):
                running -= 1
                yield index, item
            else:
                raise item
    finally:
        threads.shutdown(wait=True, cancel_futures=True)
