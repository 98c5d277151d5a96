"""A trainer elsewhere, with the calls and errors of one in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from uuid import uuid4

from services.common.closing import Closing
from services.common.convert import from_pb
from services.common.errors import ErrorReport, Unavailable, error_of
from services.common.pb.imcnas.v1 import trainer_pb2 as pb
from services.common.pb.imcnas.v1.trainer_pb2_grpc import TrainerServiceStub
from services.common.rpc.channel import Connection
from services.trainer.analog_types import ChipDraw, OnChipReport, OnChipRequest
from services.trainer.batch import OnBatchEpoch, Outcome
from services.trainer.callers import OnDraw, OnEpoch, OnQueued
from services.trainer.convert import Event, chip_request_to_pb, event_from_pb, request_to_pb
from services.trainer.types import (
    AccuracyReport,
    DatasetInfo,
    EpochReport,
    EvaluationRequest,
    Queued,
    TrainerInfo,
)


class Trainer(Closing):
    """Trains candidates in a trainer's service.

    Parameters
    ----------
    address : str
        ``host:port`` of the service.
    timeout_s : float
        Deadline of a call other than `evaluate`, which takes as long as the training.
    """

    def __init__(self, address: str, timeout_s: float = 60.0) -> None:
        self._remote = Connection(address, timeout_s)
        self._stub = TrainerServiceStub(self._remote.channel)

    def evaluate(
        self,
        request: EvaluationRequest,
        on_epoch: Callable[[EpochReport], None] | None = None,
        on_queued: Callable[[Queued], None] | None = None,
    ) -> AccuracyReport:
        """Train a candidate and give its accuracy; a connection that breaks meanwhile is made again.

        Parameters
        ----------
        request : EvaluationRequest
        on_epoch : callable, optional
            Called in this thread after each epoch, once an epoch. What it raises is raised here; the service
            trains on, and answers whoever asks with the same request id.
        on_queued : callable, optional
            Called in this thread while the request waits for a slot, when its place changes.

        Raises
        ------
        InvalidCandidate, InvalidRequest, NotFound, TrainingFailed, Cancelled
            As the core does.
        Unavailable, Overloaded
            The service cannot be reached, or has no room.
        """
        message = request_to_pb(_named(request))
        hear = _listener(on_epoch, on_queued)
        for response in self._remote.stream(self._stub.Evaluate, lambda: message):
            event = event_from_pb(response)
            if isinstance(event, AccuracyReport):
                return event
            hear(event)
        raise self._unfinished()

    def evaluate_batch(
        self, requests: Sequence[EvaluationRequest], on_epoch: OnBatchEpoch | None = None
    ) -> Iterator[tuple[int, Outcome]]:
        """Train many candidates; yield each one's number and its report or error, as they end.

        Parameters
        ----------
        requests : sequence of EvaluationRequest
            At most 1,000.
        on_epoch : callable, optional
            Told a request's number and each of its epochs, once, in this thread.

        Raises
        ------
        InvalidRequest
            There are more than 1,000.
        Unavailable, Overloaded
            The service cannot be reached.
        """
        waiting = {number: request_to_pb(_named(request)) for number, request in enumerate(requests)}
        listeners = {
            number: _listener(None if on_epoch is None else partial(on_epoch, number)) for number in waiting
        }
        sent: list[int] = []

        def message() -> pb.TrainerServiceBatchEvaluateRequest:
            sent[:] = waiting
            return pb.TrainerServiceBatchEvaluateRequest(evaluations=waiting.values())

        for response in self._remote.stream(self._stub.BatchEvaluate, message):
            number, event = sent[response.index], event_from_pb(response)
            if isinstance(event, AccuracyReport | ErrorReport):
                del waiting[number]
                yield number, error_of(event) if isinstance(event, ErrorReport) else event
            else:
                listeners[number](event)
        if waiting:
            raise self._unfinished()

    def evaluate_on_chip(
        self,
        request: OnChipRequest,
        on_epoch: OnEpoch | None = None,
        on_queued: OnQueued | None = None,
        on_draw: OnDraw | None = None,
    ) -> OnChipReport:
        """Train a candidate, unless what it learnt is kept, and judge it as crossbars compute it.

        Parameters
        ----------
        request : OnChipRequest
        on_epoch, on_queued : callable, optional
            As of `evaluate`.
        on_draw : callable, optional
            Called in this thread for each chip that was judged.

        Raises
        ------
        ImcnasError
            As the core does, and as `evaluate`.
        """
        message = chip_request_to_pb(replace(request, evaluation=_named(request.evaluation)))
        hear = _listener(on_epoch, on_queued, on_draw)
        for response in self._remote.stream(self._stub.EvaluateOnChip, lambda: message):
            event = event_from_pb(response)
            if isinstance(event, OnChipReport):
                return event
            hear(event)
        raise self._unfinished()

    def cancel(self, request_id: str) -> bool:
        """Stop an evaluation: EvaluationCancelled for whoever waits for it; False if nobody does."""
        request = pb.CancelEvaluationRequest(request_id=request_id)
        return bool(self._remote.call(self._stub.CancelEvaluation, request).cancelled)

    def dataset(self, name: str) -> DatasetInfo:
        """Describe a data set; NotFound if there is none of that name."""
        response = self._remote.call(self._stub.GetDataset, pb.GetDatasetRequest(name=name))
        return from_pb(response.dataset, DatasetInfo)

    def info(self) -> TrainerInfo:
        """Say what the trainer is."""
        request = pb.TrainerServiceGetServerInfoRequest()
        return from_pb(self._remote.call(self._stub.GetServerInfo, request).info, TrainerInfo)

    def close(self) -> None:
        """Close the connection; evaluations in flight raise Cancelled."""
        self._remote.close()

    def _unfinished(self) -> Unavailable:
        return Unavailable(f"{self._remote.address} ended the evaluation without a report")


def _named(request: EvaluationRequest) -> EvaluationRequest:
    """Give a request an id: without one a broken connection would mean a second training."""
    return replace(request, request_id=request.request_id or uuid4().hex)


def _listener(
    on_epoch: OnEpoch | None = None, on_queued: OnQueued | None = None, on_draw: OnDraw | None = None
) -> Callable[[Event | None], None]:
    """Make what tells each epoch and chip once: a stream that is opened again begins at the beginning."""
    told: set[ChipDraw] = set()
    last_epoch = 0

    def hear(event: Event | None) -> None:
        nonlocal last_epoch
        if isinstance(event, Queued):
            if on_queued is not None:
                on_queued(event)
        elif isinstance(event, EpochReport):
            if on_epoch is not None and event.epoch > last_epoch:
                last_epoch = event.epoch
                on_epoch(event)
        elif isinstance(event, ChipDraw) and on_draw is not None and event not in told:
            told.add(event)
            on_draw(event)

    return hear
