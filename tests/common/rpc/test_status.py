"""Errors as statuses: what goes over the wire, and what comes back."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.common import errors
from services.common.errors import ImcnasError, Violation
from services.common.rpc.status import CODES, from_rpc_error, to_status


class Raised(grpc.RpcError):
    """What a client's call raises."""

    def __init__(
        self, code: grpc.StatusCode, details: str, metadata: tuple[tuple[str, bytes], ...] = ()
    ) -> None:
        self._answer = (code, details, metadata)

    def code(self) -> grpc.StatusCode:
        return self._answer[0]

    def details(self) -> str:
        return self._answer[1]

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return self._answer[2]


def sent(error: Exception) -> ImcnasError:
    """The error that arrives where `error` was sent."""
    status = rpc_status.to_status(to_status(error, "Service/Method"))
    return from_rpc_error(Raised(status.code, status.details, status.trailing_metadata), "host:1")


def tree(cls: type[ImcnasError]) -> Iterator[type[ImcnasError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from tree(sub)


def test_the_table_holds_the_whole_tree_and_no_reason_twice() -> None:
    assert set(CODES) == {c for c in tree(ImcnasError) if c.__module__ == errors.__name__}
    assert len({c.reason for c in CODES}) == len(CODES)


@pytest.mark.parametrize("cls", CODES, ids=lambda c: c.__name__)
def test_an_error_arrives_as_it_was_raised(cls: type[ImcnasError]) -> None:
    error = cls("what went wrong: µ × 3", [Violation("layers[3].conv2d.kernel_size", "got 9, wanted 3")])
    back = sent(error)
    assert type(back) is cls
    assert (back.message, back.violations) == (error.message, error.violations)


def test_what_may_pass_says_when_to_try_again() -> None:
    for cls in CODES:
        status = to_status(cls("x"), "m")
        again = any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)
        assert again == (cls in (errors.Unavailable, errors.Overloaded))


def test_a_subclass_without_a_row_is_sent_with_its_parents_code() -> None:
    class Special(errors.NotFound):
        """Known here alone."""

    assert to_status(Special("x"), "m").code == grpc.StatusCode.NOT_FOUND.value[0]


def test_an_unexpected_error_leaks_nothing_but_an_incident(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        status = to_status(ValueError("secret"), "Service/Method")
    assert b"secret" not in status.SerializeToString()
    incident = status.message.split()[1]
    assert f"incident {incident} in Service/Method" in caplog.text
    assert "ValueError: secret" in caplog.text
    assert status.code == grpc.StatusCode.INTERNAL.value[0]


def test_a_status_fits_in_the_headers_that_clients_take() -> None:
    many = errors.InvalidNetwork.of(*(Violation(f"layers[{i}].inputs", "×" * 300) for i in range(4096)))
    status = to_status(many, "m")
    back = sent(many)
    assert status.ByteSize() < 3000
    assert isinstance(back, errors.InvalidNetwork)
    assert back.violations[0].field == "layers[0].inputs"
    assert back.message.endswith("[...]")


@pytest.mark.parametrize(
    ("code", "details", "cls"),
    [
        (grpc.StatusCode.UNAVAILABLE, "connection refused", errors.Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", errors.Overloaded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Sent message larger than max", errors.InvalidRequest),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", errors.DeadlineExceeded),
        (grpc.StatusCode.CANCELLED, "", errors.Cancelled),
        (grpc.StatusCode.UNIMPLEMENTED, "Method not found!", errors.NotPossible),
        (grpc.StatusCode.UNKNOWN, "?", errors.Internal),
    ],
)
def test_what_grpc_reports_itself_is_typed_and_names_the_address(
    code: grpc.StatusCode, details: str, cls: type[ImcnasError]
) -> None:
    error = from_rpc_error(Raised(code, details), "host:1")
    assert type(error) is cls
    assert "host:1" in error.message


def test_the_error_of_another_domain_is_none_of_ours() -> None:
    info = error_details_pb2.ErrorInfo(reason="NOT_FOUND", domain="elsewhere")
    status = status_pb2.Status(code=grpc.StatusCode.NOT_FOUND.value[0], message="x")
    status.details.add().Pack(info)
    raised = rpc_status.to_status(status)
    error = from_rpc_error(Raised(raised.code, raised.details, raised.trailing_metadata), "host:1")
    assert type(error) is errors.Internal


def test_a_detail_that_cannot_be_read_does_no_harm() -> None:
    status = to_status(errors.NotFound("x"), "m")
    broken = status.details.add(type_url="type.googleapis.com/google.rpc.BadRequest", value=b"\xff\xff")
    assert broken.Is(error_details_pb2.BadRequest.DESCRIPTOR)
    raised = rpc_status.to_status(status)
    error = from_rpc_error(Raised(raised.code, raised.details, raised.trailing_metadata), "host:1")
    assert (type(error), error.violations) == (errors.NotFound, ())
