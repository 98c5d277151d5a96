"""Every error that imcnas raises on purpose, the same in process and over gRPC.

::

    ImcnasError
    |-- InvalidInput            the caller's input is wrong; `violations` name each field
    |   |-- InvalidNetwork      a LayerList whose layers or shapes do not fit together
    |   |-- InvalidCandidate    a candidate, block or search space outside what exists
    |   |-- InvalidChip         a chip configuration with an impossible value
    |   |-- InvalidDataset      a file of a data set that is damaged, or images that cannot be split
    |   `-- InvalidRequest      anything else a caller asked for: data set, recipe, objective, limit
    |-- NotPossible             the input is sound, but the state of things forbids it
    |   |-- ChipTooSmall        the network needs more tiles than the chip has
    |   `-- StudyConflict       a study of that name exists with other settings
    |-- NotFound                a named thing does not exist
    |-- TrainingFailed          one evaluation failed (diverged, crashed); others go on
    |   `-- EvaluationCancelled somebody cancelled it
    |-- Unavailable             a service cannot be reached, or is draining; try again
    |-- Overloaded              a service has no room for the call now; try again later
    |-- DeadlineExceeded        the call took longer than its deadline
    |-- Cancelled               the call was cancelled
    `-- Internal                our own mistake; the message names an incident, the log has the rest
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar

MAX_VIOLATIONS = 100
"""Violations that an error carries; whoever looks for more may stop."""

MAX_TOLD = 5
"""Violations that an error's text spells out."""

MAX_SHOWN = 200
"""Characters of a wrong value that a violation shows."""

MAX_NAME = 100
"""Characters of the longest text that is compared with the names that are known."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with one field.

    Parameters
    ----------
    field : str
        Path of the field, such as ``layers[3].conv2d.kernel_size``.
    description : str
        What was got, what is allowed, and the fix.
    """

    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}"


def violation(field: str, got: object, wanted: str, fix: str = "") -> Violation:
    """Describe a wrong field in the one form that every message has."""
    try:
        shown = repr(got[: MAX_SHOWN + 1] if isinstance(got, str) else got)
    except (ValueError, RecursionError):  # an integer of thousands of digits; tables within tables
        shown = f"a huge {type(got).__name__}"
    if len(shown) > MAX_SHOWN:
        shown = f"{shown[:MAX_SHOWN]}..."
    description = f"got {shown}, wanted {wanted}"
    return Violation(field, f"{description}; {fix}" if fix else description)


def check_type(field: str, got: object, *wanted: type) -> None:
    """Raise InvalidRequest unless `got` is of one of the types: callers may have no type checker."""
    if not isinstance(got, wanted):
        raise InvalidRequest.of(violation(field, got, " or ".join(f"a {cls.__name__}" for cls in wanted)))


def missing(field: str, wanted: str = "a value") -> Violation:
    """Describe a field that has to be there and is not."""
    return Violation(field, f"is missing, wanted {wanted}")


def one_of(names: Iterable[str], got: str = "") -> str:
    """Say which names are allowed, and which of them was probably meant."""
    known = list(names)
    text = "one of " + ", ".join(known)
    # A long text is no typing mistake, and comparing it takes long.
    close = get_close_matches(got, known, n=1) if len(got) <= MAX_NAME else []
    return f"{text} (did you mean {close[0]}?)" if close and got not in known else text


class ImcnasError(Exception):
    """Root of the tree above.

    Attributes
    ----------
    reason : str
        Stable name of the class on the wire (google.rpc.ErrorInfo.reason).
    violations : tuple of Violation
        The fields at fault; empty where no single field is.
    """

    reason: ClassVar[str] = "ERROR"

    def __init__(self, message: str, violations: Iterable[Violation] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.violations = tuple(violations)

    @classmethod
    def of(cls, *violations: Violation) -> ImcnasError:
        """Make the error whose message is its violations, the first few one after the other."""
        kept = violations[:MAX_VIOLATIONS]
        more = [f"... and {len(kept) - MAX_TOLD} more"] if len(kept) > MAX_TOLD else []
        return cls(". ".join([*map(str, kept[:MAX_TOLD]), *more]), kept)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.violations)


class InvalidInput(ImcnasError):
    """The caller's input is wrong; `violations` name each field."""

    reason = "INVALID_INPUT"


class InvalidNetwork(InvalidInput):
    """A LayerList whose layers or shapes do not fit together."""

    reason = "INVALID_NETWORK"


class InvalidCandidate(InvalidInput):
    """A candidate, block or search space outside what exists."""

    reason = "INVALID_CANDIDATE"


class InvalidChip(InvalidInput):
    """A chip configuration with an impossible value."""

    reason = "INVALID_CHIP"


class InvalidDataset(InvalidInput):
    """A file of a data set that is damaged, or images that cannot be split."""

    reason = "INVALID_DATASET"


class InvalidRequest(InvalidInput):
    """Anything else a caller asked for: data set, recipe, objective, limit."""

    reason = "INVALID_REQUEST"


class NotPossible(ImcnasError):
    """The input is sound, but the state of things forbids it."""

    reason = "NOT_POSSIBLE"


class ChipTooSmall(NotPossible):
    """The network needs more tiles than the chip has."""

    reason = "CHIP_TOO_SMALL"


class StudyConflict(NotPossible):
    """A study of that name exists with other settings."""

    reason = "STUDY_CONFLICT"


class NotFound(ImcnasError):
    """A named thing does not exist."""

    reason = "NOT_FOUND"


class TrainingFailed(ImcnasError):
    """One evaluation failed (diverged, crashed); others go on."""

    reason = "TRAINING_FAILED"


class EvaluationCancelled(TrainingFailed):
    """Somebody cancelled this evaluation; others go on."""

    reason = "EVALUATION_CANCELLED"


class Unavailable(ImcnasError):
    """A service cannot be reached, or is draining; try again."""

    reason = "UNAVAILABLE"


class Overloaded(ImcnasError):
    """A service has no room for the call now; try again later."""

    reason = "OVERLOADED"


class DeadlineExceeded(ImcnasError):
    """The call took longer than its deadline."""

    reason = "DEADLINE_EXCEEDED"


class Cancelled(ImcnasError):
    """The call was cancelled."""

    reason = "CANCELLED"


class Internal(ImcnasError):
    """Our own mistake; the message names an incident, the log has the rest."""

    reason = "INTERNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """An error as a value, where one of many things failed.

    Parameters
    ----------
    reason : str
        Of the error's class.
    message : str
    violations : tuple of Violation
    """

    reason: str
    message: str
    violations: tuple[Violation, ...] = ()


def error_report(error: ImcnasError) -> ErrorReport:
    """Describe an error."""
    return ErrorReport(reason=error.reason, message=error.message, violations=error.violations)


def error_of(report: ErrorReport) -> ImcnasError:
    """Make the error that a report describes; of an unknown reason it is Internal."""
    return CLASSES.get(report.reason, Internal)(report.message, report.violations)


def _classes(root: type[ImcnasError]) -> dict[str, type[ImcnasError]]:
    found = {root.reason: root}
    for cls in root.__subclasses__():
        found |= _classes(cls)
    return found


CLASSES = _classes(ImcnasError)
"""Every class of the tree by its reason."""
