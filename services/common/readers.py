"""Fast readers of JSON into frozen dataclasses, made once for each type.

They take what `services.common.codec` takes, but say nothing of what is wrong: that is the codec's work.
A study of thousands of trials is read by them, a few million fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

Reader = Callable[[Any], Any]


class Refused(Exception):
    """Not what was wanted, or no type that is read here."""


@cache
def reader(hint: Any) -> Reader:
    """Make the reader of a type; it raises Refused, or what a constructor raises."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _optional(hint)
    if origin is tuple:
        return _tuple(get_args(hint))
    if is_dataclass(hint):
        return _dataclass(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = {str(member.value): member for member in hint}
        return members.__getitem__
    return _float if hint is float else _exact(hint)


def _float(obj: Any) -> float:
    if type(obj) is float:
        return obj
    if type(obj) is int:
        return float(obj)
    raise Refused


def _exact(kind: Any) -> Reader:
    def read(obj: Any) -> Any:
        if type(obj) is kind:
            return obj
        raise Refused

    return read


def _optional(hint: Any) -> Reader:
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    if len(kinds) != 1:
        raise Refused
    inner = reader(kinds[0])
    return lambda obj: None if obj is None else inner(obj)


def _tuple(items: tuple[Any, ...]) -> Reader:
    many = len(items) == 2 and items[1] is Ellipsis
    inner = [reader(item) for item in items[: 1 if many else None]]

    def read(obj: Any) -> Any:
        if type(obj) is not list:
            raise Refused
        if many:
            return tuple(map(inner[0], obj))
        return tuple(one(value) for one, value in zip(inner, obj, strict=True))

    return read


def _dataclass(cls: Any) -> Reader:
    hints = get_type_hints(cls)
    # A plain value is told by its type alone, without a call: most fields are.
    plan = {f.name: (hints[f.name], reader(hints[f.name])) for f in fields(cls) if f.init}

    def read(obj: Any) -> Any:
        values = {}
        for name, value in obj.items():
            plain, inner = plan[name]
            values[name] = value if type(value) is plain else inner(value)
        return cls(**values)

    return read
