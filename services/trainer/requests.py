"""Who asks for what: one request id is one evaluation, and equal evaluations in flight are one training."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from services.common.errors import (
    EvaluationCancelled,
    ImcnasError,
    InvalidRequest,
    TrainingFailed,
    Unavailable,
    Violation,
)
from services.trainer.analog_types import AnalogReport, OnChipRequest
from services.trainer.callers import Caller
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest

Train = Callable[[Callable[[EpochReport], None]], AccuracyReport]
"""Trains, and tells each epoch to what it is given."""


class Evaluations:
    """Joins callers of one evaluation, and remembers results of the last request ids.

    Callers who ask for what is in training follow it, epochs included. The result of an id is remembered; a
    failure reaches those who wait for it and is forgotten. When the caller who trains gives up (cancelled,
    its `on_epoch` raised), the next of those who wait trains.

    Parameters
    ----------
    limit : int
        Results remembered by id; the oldest is forgotten first.
    epoch_limit : int
        Epochs of all of these together, some 200 bytes each; the newest result may exceed it alone.
    """

    def __init__(self, limit: int = 10_000, epoch_limit: int = 500_000) -> None:
        self._limit, self._epoch_limit, self._epochs = limit, epoch_limit, 0
        self._lock = threading.Lock()
        self._runs: dict[Hashable, _Run] = {}
        self._callers: defaultdict[str, list[Caller]] = defaultdict(list)
        self._asked: dict[str, EvaluationRequest] = {}
        self._reports: dict[str, AccuracyReport] = {}
        self._finished: deque[str] = deque()
        self._closed = False

    def run(
        self,
        request: EvaluationRequest,
        content: Hashable,
        caller: Caller,
        train: Train,
        is_whole: Callable[[AccuracyReport], bool] = lambda report: True,
    ) -> AccuracyReport:
        """Give the result of this request, training only if nobody has or is.

        Parameters
        ----------
        request : EvaluationRequest
        content : hashable
            Equal for requests of one training.
        caller : Caller
            `registered` for this request, or one of the same id.
        train : callable
            Called if this caller is the one to train.
        is_whole : callable
            Whether a result that is remembered is enough; otherwise it is trained again.
        """
        report = self._reports.get(request.request_id)
        if report is not None and not is_whole(report):
            report = None
        if report is not None:
            for epoch in report.epochs:
                caller.epoch(epoch)
        while report is None:
            run, first = self._find(content)
            report = self._lead(content, run, caller, train) if first else run.follow(caller)
        self._remember(request.request_id, report)
        return report

    def cancel(self, request_id: str, error: ImcnasError) -> bool:
        """Raise `error` in whoever waits for an id; False if nobody does."""
        with self._lock:
            callers = tuple(self._callers.get(request_id, ())) if request_id else ()
        for caller in callers:
            caller.stop(error)
        return bool(callers)

    def close(self, error: ImcnasError) -> None:
        """Raise `error` in everybody who waits, and Unavailable for whoever comes later."""
        with self._lock:
            self._closed = True
            callers = [caller for waiting in self._callers.values() for caller in waiting]
        for caller in callers:
            caller.stop(error)

    @contextmanager
    def registered(self, request: EvaluationRequest, caller: Caller) -> Iterator[None]:
        """Let `cancel` and `close` reach a caller meanwhile.

        Raises
        ------
        InvalidRequest
            The request's id was given before with other content.
        Unavailable
            This was closed.
        """
        name = request.request_id
        with self._lock:
            if self._closed:
                raise Unavailable("the trainer is closed")
            if name and self._asked.setdefault(name, request) != request:
                text = f"{name!r} was used for another evaluation; give each evaluation its own id"
                raise InvalidRequest.of(Violation("request_id", text))
            self._callers[name].append(caller)
        try:
            yield
        finally:
            with self._lock:
                self._callers[name].remove(caller)
                if not self._callers[name]:
                    del self._callers[name]
                    if name not in self._reports:
                        self._asked.pop(name, None)

    def _remember(self, name: str, report: AccuracyReport) -> None:
        with self._lock:
            if name and name not in self._reports:
                self._reports[name] = report
                self._finished.append(name)
                self._epochs += len(report.epochs)
                while len(self._finished) > self._limit or self._epochs > self._epoch_limit:
                    if len(self._finished) == 1:
                        break
                    oldest = self._finished.popleft()
                    self._epochs -= len(self._reports.pop(oldest).epochs)
                    if oldest not in self._callers:
                        del self._asked[oldest]

    def _find(self, content: Hashable) -> tuple[_Run, bool]:
        with self._lock:
            if content in self._runs:
                return self._runs[content], False
            run = self._runs[content] = _Run()
            return run, True

    def _lead(self, content: Hashable, run: _Run, caller: Caller, train: Train) -> AccuracyReport:
        def tell(epoch: EpochReport) -> None:
            run.add(epoch)
            caller.epoch(epoch)

        report, failure = None, None
        try:
            report = train(tell)
            return report
        except EvaluationCancelled:  # others want it still
            raise
        except TrainingFailed as error:
            failure = error
            raise
        finally:
            with self._lock:
                del self._runs[content]
            run.end(report, failure)


class Judged:
    """Remembers what the last request ids found on chips: a retry judges none again.

    Parameters
    ----------
    limit : int
        Reports remembered; the oldest is forgotten first.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._reports: dict[OnChipRequest, AnalogReport] = {}

    def get(self, request: OnChipRequest) -> AnalogReport | None:
        """Give what this request found, or None."""
        with self._lock:
            return self._reports.get(request)

    def put(self, request: OnChipRequest, report: AnalogReport) -> None:
        """Remember what a request found, if it has an id."""
        with self._lock:
            if request.request_id:
                self._reports[request] = report
                if len(self._reports) > self._limit:
                    del self._reports[next(iter(self._reports))]


class _Run:
    """One training that several callers may follow."""

    def __init__(self) -> None:
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

    def follow(self, caller: Caller) -> AccuracyReport | None:
        """Wait for the end, telling epochs as they come; None when the leader gave up."""
        told = 0
        ended = False
        with caller.stopping(self._wake):
            while not ended:
                with self._changed:
                    while not self._ended and len(self._epochs) == told and not caller.stopped:
                        self._changed.wait()
                    fresh, ended = self._epochs[told:], self._ended
                caller.check()
                for epoch in fresh:
                    caller.epoch(epoch)
                told += len(fresh)
        if self._failure is not None:
            raise TrainingFailed(self._failure.message, self._failure.violations)
        return self._report

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
