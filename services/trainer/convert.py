"""The trainer's messages <-> its values."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from services.common.convert import from_pb, to_pb
from services.common.errors import ErrorReport, InvalidInput, Violation
from services.common.pb.imcnas.v1 import error_pb2
from services.common.pb.imcnas.v1 import trainer_pb2 as pb
from services.trainer.analog_types import ChipDraw, OnChipReport, OnChipRequest
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest, Queued

Event = Queued | EpochReport | ChipDraw | AccuracyReport | OnChipReport | ErrorReport
"""What an evaluation tells; a report or an error is the last."""

_KINDS: dict[type[Event], tuple[str, type[Message]]] = {
    Queued: ("queued", pb.Queued),
    EpochReport: ("epoch", pb.EpochReport),
    ChipDraw: ("draw", pb.ChipDraw),
    AccuracyReport: ("report", pb.AccuracyReport),
    OnChipReport: ("report", pb.OnChipReport),
    ErrorReport: ("error", error_pb2.ErrorReport),
}
_CLASSES = {message: cls for cls, (_, message) in _KINDS.items()}


def request_to_pb(request: EvaluationRequest) -> pb.TrainerServiceEvaluateRequest:
    """Make the message of a request."""
    return to_pb(request, pb.TrainerServiceEvaluateRequest)


def request_from_pb(request: pb.TrainerServiceEvaluateRequest) -> EvaluationRequest:
    """Read a request."""
    return from_pb(request, EvaluationRequest)


def chip_request_to_pb(request: OnChipRequest) -> pb.EvaluateOnChipRequest:
    """Make the message of a request to judge a candidate on chips."""
    return to_pb(request, pb.EvaluateOnChipRequest)


def chip_request_from_pb(request: pb.EvaluateOnChipRequest) -> OnChipRequest:
    """Read a request to judge a candidate on chips."""
    try:
        request_from_pb(request.evaluation)
    except InvalidInput as error:  # by its own path: both requests have a seed
        inside = (Violation(f"evaluation.{v.field}", v.description) for v in error.violations)
        raise type(error).of(*inside) from error
    return from_pb(request, OnChipRequest)


def event_fields(event: Event) -> dict[str, Any]:
    """Field of a streamed response that holds an event."""
    name, message = _KINDS[type(event)]
    return {name: to_pb(event, message)}


def event_from_pb(response: Any) -> Event | None:
    """Read the event of a streamed response; None for one that only a newer service knows."""
    name = response.WhichOneof("event")
    if name is None:
        return None
    message = getattr(response, name)
    return from_pb(message, _CLASSES[type(message)])
