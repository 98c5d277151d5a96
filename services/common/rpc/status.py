"""ImcnasError <-> gRPC status: one table, read in both directions."""

from __future__ import annotations

import logging
from contextlib import suppress
from uuid import uuid4

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # ships no py.typed
from grpc_status import rpc_status

from services.common import errors
from services.common.errors import ImcnasError, Violation

log = logging.getLogger(__name__)

DOMAIN = "imcnas"

CODES: dict[type[ImcnasError], grpc.StatusCode] = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidNetwork: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidCandidate: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidChip: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidDataset: grpc.StatusCode.FAILED_PRECONDITION,  # the trainer's files, not the caller's
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotPossible: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ChipTooSmall: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StudyConflict: grpc.StatusCode.ALREADY_EXISTS,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.TrainingFailed: grpc.StatusCode.ABORTED,
    errors.EvaluationCancelled: grpc.StatusCode.ABORTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: grpc.StatusCode.CANCELLED,
    errors.Internal: grpc.StatusCode.INTERNAL,
}

RETRY_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
RETRY_AFTER_S = 1

MAX_TEXT_BYTES = 1000
"""Of the message, and of all violations: both travel as headers, of which clients take 8 KiB."""


def to_error(error: Exception, method: str) -> ImcnasError:
    """Make what a caller may see of what `method` raised.

    What is no ImcnasError is our own mistake: it becomes Internal with an incident's id, its text goes to the
    log alone.
    """
    if isinstance(error, ImcnasError):
        return error
    incident = uuid4().hex[:12]
    log.error("incident %s in %s", incident, method, exc_info=error)
    return errors.Internal(f"incident {incident} in {method}: the service's log has the rest")


def to_status(raised: Exception, method: str) -> status_pb2.Status:
    """Make the google.rpc.Status of what `method` raised."""
    error = to_error(raised, method)
    code = next((CODES[c] for c in type(error).__mro__ if c in CODES), grpc.StatusCode.INTERNAL)
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)]
    if error.violations:
        details.append(_bad_request(error.violations))
    if code in RETRY_CODES:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = RETRY_AFTER_S
        details.append(retry)
    return status_pb2.Status(
        code=code.value[0], message=_cut(error.message), details=[_any(detail) for detail in details]
    )


def from_rpc_error(error: grpc.RpcError, address: str) -> ImcnasError:
    """Make the error that the call at `address` would have raised in process."""
    call: grpc.Call = error  # type: ignore[assignment]  # what a sync channel raises is both
    try:
        status = rpc_status.from_call(call)
    except (ValueError, DecodeError):
        status = None
    return _from_gateway(call, address) if status is None else _from_status(status, address)


def _from_status(status: status_pb2.Status, address: str) -> ImcnasError:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        with suppress(DecodeError):  # a detail that cannot be read tells nothing
            detail.Unpack(info)
            detail.Unpack(bad)
    cls = errors.CLASSES.get(info.reason) if info.domain == DOMAIN else None
    if cls is None:
        return errors.Internal(f"{address} answered with an unknown error: {status.message}")
    return cls(status.message, [Violation(v.field, v.description) for v in bad.field_violations])


def _from_gateway(call: grpc.Call, address: str) -> ImcnasError:
    """Name what gRPC itself reports: the service did not get to answer."""
    code, details = call.code(), call.details() or ""
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return errors.Unavailable(
                f"nothing answers at {address} ({details}): start the service there, or give its address"
            )
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in details:
            return errors.InvalidRequest(f"the message to or from {address} is too large: {details}")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return errors.Overloaded(f"{address} has no room for the call now: try again later ({details})")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.DeadlineExceeded(f"{address} did not answer in time: allow a longer timeout")
        case grpc.StatusCode.CANCELLED:
            return errors.Cancelled(f"the call to {address} was cancelled")
        case grpc.StatusCode.UNIMPLEMENTED:
            return errors.NotPossible(
                f"{address} does not serve this call: is it another service or version?"
            )
        case _:
            return errors.Internal(f"{address} answered {code.name}: {details}")


def _bad_request(violations: tuple[Violation, ...]) -> error_details_pb2.BadRequest:
    """List as many violations as headers have room for."""
    bad, room = error_details_pb2.BadRequest(), MAX_TEXT_BYTES
    for v in violations:
        field, description = _cut(v.field, 200), _cut(v.description, 400)
        room -= len(field.encode()) + len(description.encode())
        if room < 0:
            break
        bad.field_violations.add(field=field, description=description)
    return bad


def _any(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed


def _cut(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """Shorten `text` to `limit` bytes of UTF-8, and say so."""
    raw = text.encode("utf-8", "replace")
    return raw.decode() if len(raw) <= limit else raw[: limit - 6].decode("utf-8", "ignore") + " [...]"
