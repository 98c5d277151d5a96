"""Frozen dataclasses <-> JSON by their type hints, exactly: what is read equals what was written.

Strict on purpose: a numpy scalar, NaN or unknown type raises where it is written, not where a study
is resumed from it.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum, StrEnum
from functools import cache
from itertools import islice
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from services.common.errors import MAX_VIOLATIONS, InvalidInput, Violation, missing, one_of, violation
from services.common.readers import reader

T = TypeVar("T")

_PLAIN = (str, int, float, bool, NoneType)


def to_jsonable(value: object) -> Any:
    """Make dictionaries, lists and plain values of a dataclass; derived fields (init=False) are left out.

    Raises
    ------
    TypeError
        On a value that is neither plain, an enumeration of strings, a tuple nor a dataclass.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, tuple):
        return [to_jsonable(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name)) for f in fields(value) if f.init}
    raise TypeError(f"cannot write a {type(value).__module__}.{type(value).__qualname__} as JSON: {value!r}")


def from_jsonable(cls: type[T], obj: object, path: str = "") -> T:
    """Read what `to_jsonable` made of a `cls`; absent fields take their defaults.

    Raises
    ------
    InvalidInput
        On an unknown or missing field or a wrong type, by path; values are checked by the classes themselves.
    """
    hint: Any = cls
    result: T
    try:
        result = reader(hint)(obj)
    except Exception:  # whatever it was, the slow way says it
        result = _read(cls, obj, path)
    return result


def dumps(value: object) -> str:
    """Write a dataclass as compact JSON; NaN and infinities raise ValueError."""
    return json.dumps(to_jsonable(value), allow_nan=False, separators=(",", ":"))


def loads(cls: type[T], text: str) -> T:
    """Read what `dumps` wrote; raises as `from_jsonable`."""
    return from_jsonable(cls, json.loads(text))


def _read(hint: Any, obj: object, path: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if obj is None and NoneType in get_args(hint):
            return None
        (hint,) = (arg for arg in get_args(hint) if arg is not NoneType)  # only X | None exists
        return _read(hint, obj, path)
    if origin is tuple:
        return _read_tuple(get_args(hint), obj, path)
    if is_dataclass(hint):
        return _read_dataclass(hint, obj, path)
    if isinstance(hint, type) and issubclass(hint, Enum):
        names = [str(member.value) for member in hint]
        if obj not in names:
            raise InvalidInput.of(violation(path, obj, one_of(names, str(obj))))
        return hint(obj)
    if hint is float and type(obj) is int:
        return float(obj)
    if hint not in _PLAIN:
        raise TypeError(f"{path}: no way to read a {hint} from JSON")
    if type(obj) is not hint:
        raise InvalidInput.of(violation(path, obj, f"a value of type {hint.__name__}"))
    return obj


def _read_tuple(items: tuple[Any, ...], obj: object, path: str) -> tuple[Any, ...]:
    if not isinstance(obj, list):
        raise InvalidInput.of(violation(path, obj, "a list"))
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(obj)
    if len(items) != len(obj):
        raise InvalidInput.of(violation(path, obj, f"a list of {len(items)} values"))
    return tuple(_read(h, o, f"{path}[{i}]") for i, (h, o) in enumerate(zip(items, obj, strict=True)))


def _read_dataclass(cls: Any, obj: object, path: str) -> Any:
    if not isinstance(obj, dict):
        raise InvalidInput.of(violation(path or cls.__name__, obj, "an object"))
    known = _fields(cls)
    dot = f"{path}." if path else ""
    wrong = [
        Violation(f"{dot}{n}", f"unknown field, wanted {one_of(known, str(n))}")
        for n in islice((n for n in obj if n not in known), MAX_VIOLATIONS)
    ]
    wrong += [missing(f"{dot}{n}") for n, (_, needed) in known.items() if needed and n not in obj]
    if wrong:
        raise InvalidInput.of(*wrong)
    return cls(**{name: _read(known[name][0], value, f"{dot}{name}") for name, value in obj.items()})


@cache
def _fields(cls: Any) -> dict[str, tuple[Any, bool]]:
    """Hint of each field that the constructor takes, and whether it must be given."""
    hints = get_type_hints(cls)
    return {
        f.name: (hints[f.name], f.default is MISSING and f.default_factory is MISSING)
        for f in fields(cls)
        if f.init
    }
