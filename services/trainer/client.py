"""A trainer elsewhere, with the calls and errors of one in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from services.common.closing import Closing
from services.common.convert import from_pb
from services.common.errors import Unavailable
from services.common.pb.imcnas.v1 import trainer_pb2 as pb
from services.common.pb.imcnas.v1.trainer_pb2_grpc import TrainerServiceStub
from services.common.rpc.channel import Connection
from services.trainer.convert import event_from_pb, request_to_pb
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
        # Without an id a broken connection would mean a second training.
        message = request_to_pb(replace(request, request_id=request.request_id or uuid4().hex))
        told = 0
        for response in self._remote.stream(self._stub.Evaluate, lambda: message):
            event = event_from_pb(response)
            if isinstance(event, AccuracyReport):
                return event
            if isinstance(event, Queued):
                if on_queued is not None:
                    on_queued(event)
            elif on_epoch is not None and event.epoch > told:
                told = event.epoch
                on_epoch(event)
        raise Unavailable(f"{self._remote.address} ended the evaluation without a report")

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
