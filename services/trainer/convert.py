"""The trainer's messages <-> its values."""

from __future__ import annotations

from services.common.convert import from_pb, to_pb
from services.common.pb.imcnas.v1 import trainer_pb2 as pb
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest, Queued

Event = Queued | EpochReport | AccuracyReport
"""What an evaluation tells, the report last."""


def request_to_pb(request: EvaluationRequest) -> pb.TrainerServiceEvaluateRequest:
    """Make the message of a request."""
    return to_pb(request, pb.TrainerServiceEvaluateRequest)


def request_from_pb(request: pb.TrainerServiceEvaluateRequest) -> EvaluationRequest:
    """Read a request."""
    return from_pb(request, EvaluationRequest)


def event_to_pb(event: Event) -> pb.TrainerServiceEvaluateResponse:
    """Make the message of one event of an evaluation."""
    if isinstance(event, Queued):
        return pb.TrainerServiceEvaluateResponse(queued=to_pb(event, pb.Queued))
    if isinstance(event, EpochReport):
        return pb.TrainerServiceEvaluateResponse(epoch=to_pb(event, pb.EpochReport))
    return pb.TrainerServiceEvaluateResponse(report=to_pb(event, pb.AccuracyReport))


def event_from_pb(response: pb.TrainerServiceEvaluateResponse) -> Event:
    """Read one event of an evaluation."""
    if response.HasField("queued"):
        return from_pb(response.queued, Queued)
    if response.HasField("epoch"):
        return from_pb(response.epoch, EpochReport)
    return from_pb(response.report, AccuracyReport)
