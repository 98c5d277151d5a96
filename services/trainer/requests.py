"""What has been asked before: one request id is one training, however often it is asked."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from services.common.errors import InvalidRequest, TrainingFailed, Violation
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest

OnEpoch = Callable[[EpochReport], None]
Train = Callable[[EvaluationRequest, OnEpoch], AccuracyReport]


class RequestMemory:
    """Joins callers of one request id, and remembers results of the last ones.

    Callers who ask for what is in training follow it, epochs included. A result is remembered; a
    failure reaches those who wait for it and is forgotten. When the training caller gives up
    (cancelled, its `on_epoch` raised), the next of those who wait trains.

    Parameters
    ----------
    limit : int
        Results remembered; the oldest is forgotten first.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._finished: deque[str] = deque()

    def run(self, request: EvaluationRequest, on_epoch: OnEpoch, train: Train) -> AccuracyReport:
        """Give the result of this request, training only if nobody has or is.

        Raises
        ------
        InvalidRequest
            The request's id was given before with other content.
        """
        if not request.request_id:
            return train(request, on_epoch)
        while True:
            run, first = self._find(request)
            if first:
                return self._lead(run, on_epoch, train)
            if (report := run.follow(on_epoch)) is not None:
                return report

    def _find(self, request: EvaluationRequest) -> tuple[_Run, bool]:
        with self._lock:
            run = self._runs.get(request.request_id)
            if run is None:
                run = self._runs[request.request_id] = _Run(request)
                return run, True
        if run.request != request:
            text = f"{request.request_id!r} was used for another evaluation; give each evaluation its own id"
            raise InvalidRequest.of(Violation("request_id", text))
        return run, False

    def _lead(self, run: _Run, on_epoch: OnEpoch, train: Train) -> AccuracyReport:
        def tell(epoch: EpochReport) -> None:
            run.add(epoch)
            on_epoch(epoch)

        report, failure = None, None
        try:
            report = train(run.request, tell)
        except TrainingFailed as error:
            failure = error
            raise
        finally:
            with self._lock:
                if report is None:
                    del self._runs[run.request.request_id]
                else:
                    self._finished.append(run.request.request_id)
                    if len(self._finished) > self._limit:
                        del self._runs[self._finished.popleft()]
            run.end(report, failure)
        return report


class _Run:
    """One training that several callers may follow."""

    def __init__(self, request: EvaluationRequest) -> None:
        self.request = request
        self._epochs: list[EpochReport] = []
        self._report: AccuracyReport | None = None
        self._failure: TrainingFailed | None = None
        self._ended = False
        self._changed = threading.Condition()

    def add(self, epoch: EpochReport) -> None:
        with self._changed:
            self._epochs.append(epoch)
            self._changed.notify_all()

    def end(self, report: AccuracyReport | None, failure: TrainingFailed | None) -> None:
        with self._changed:
            self._report, self._failure, self._ended = report, failure, True
            self._changed.notify_all()

    def follow(self, on_epoch: OnEpoch) -> AccuracyReport | None:
        """Wait for the end, telling epochs as they come; None when the leader gave up."""
        told = 0
        ended = False
        while not ended:
            with self._changed:
                while not self._ended and len(self._epochs) == told:
                    self._changed.wait()
                fresh, ended = self._epochs[told:], self._ended
            for epoch in fresh:
                on_epoch(epoch)
            told += len(fresh)
        if self._failure is not None:
            raise TrainingFailed(self._failure.message, self._failure.violations)
        return self._report
