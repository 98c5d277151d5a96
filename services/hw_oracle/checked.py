"""The base of every node of the chip's tree: it checks its own fields when made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

from services.common.errors import InvalidChip, Violation, one_of, violation

T = TypeVar("T")


@cache
def _types(cls: type) -> dict[str, tuple[Any, ...]]:
    hints = get_type_hints(cls)
    return {f.name: get_args(hints[f.name]) or (hints[f.name],) for f in fields(cls)}


def field_types(cls: Any) -> dict[str, tuple[Any, ...]]:
    """Types that each field of a node takes: ``float | None`` gives (float, NoneType)."""
    return _types(cls)


def limited(default: T, low: float, high: float) -> T:
    """Give a number's default with its inclusive range."""
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A node that checks itself; numbers take one form (500.0 for 500), so equal chips hash equal."""

    path: ClassVar[str]

    def __post_init__(self) -> None:
        wrong = [found for f in fields(self) if (found := self._field_violation(f.name, f.metadata))]
        wrong = wrong or list(self._cross_violations())
        if wrong:
            raise InvalidChip.of(*wrong)

    def _field_violation(self, name: str, limits: Any) -> Violation | None:
        value, kinds, path = getattr(self, name), field_types(type(self))[name], f"{self.path}.{name}"
        if value is None and type(None) in kinds:
            return None
        wanted = kinds[0]
        if issubclass(wanted, StrEnum):
            if value not in list(wanted):
                return violation(path, value, one_of(wanted, str(value)))
            object.__setattr__(self, name, wanted(value))
        elif limits:
            low, high = limits["low"], limits["high"]
            numeric = (int, float) if wanted is float else (int,)
            if type(value) not in numeric or not low <= value <= high:  # refuses NaN too
                noun = "a number" if wanted is float else "an integer"
                derived = ", or derived (in Python None)" if type(None) in kinds else ""
                return violation(path, value, f"{noun} from {low:g} to {high:g}{derived}")
            object.__setattr__(self, name, wanted(value) + 0)  # -0.0 becomes 0.0
        elif type(value) is not wanted:
            return violation(path, value, f"a {wanted.__name__}")
        return None

    def _cross_violations(self) -> Iterator[Violation]:
        """Yield what is wrong between fields; each field on its own is already right."""
        return iter(())
