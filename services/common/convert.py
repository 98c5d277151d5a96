"""Dataclass <-> protobuf message, by structure: one converter for every message of imcnas.v1.

A message mirrors its dataclass: equal field names; int64, double, bool and string for int, float, bool
and str; an enum ``COLOUR_RED`` for the member ``RED`` of the StrEnum ``Colour``; repeated for a tuple;
a message for a dataclass; a message of one oneof for a union of dataclasses, each member's field named by
its class's ``kind``. A field that is not set takes the dataclass's default and is refused if there is none;
where the default is a number and None is allowed too, 0 stands for None. A list that is longer than its field
allows (`services.common.limited`) is refused unread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from google.protobuf.message import Message

from services.common.errors import InvalidRequest, missing, one_of, violation

M = TypeVar("M", bound=Message)
D = TypeVar("D")

UNSPECIFIED = "UNSPECIFIED"
"""Name, after the enum's prefix, of the value 0 that stands for "not set"."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one dataclass field crosses the wire.

    Parameters
    ----------
    name : str
    type : type
        int, float, bool, str, a StrEnum or a dataclass; None for a union of dataclasses.
    kinds : dict of str to type
        Members of the union by their field in the oneof; empty otherwise.
    repeated, nullable : bool
    default : callable or None
        Makes the value of a field that is not set.
    none_is_zero : bool
        None travels as 0, because "not set" means the default.
    most : int or None
        Items that a repeated field may have.
    """

    name: str
    type: Any
    kinds: dict[str, Any]
    repeated: bool
    nullable: bool
    default: Callable[[], Any] | None
    none_is_zero: bool
    most: int | None


def to_pb(value: Any, message: type[M]) -> M:
    """Make the `message` that mirrors the dataclass `value`.

    Raises
    ------
    InvalidRequest
        A number that the wire cannot carry, by path.
    """
    pb = message()
    _fill(value, pb, "")
    return pb


def from_pb(pb: Message, cls: type[D], path: str = "") -> D:
    """Make the dataclass `cls` from the message that mirrors it; `path` precedes each field in errors.

    Raises
    ------
    InvalidRequest
        A field that is missing or an enum value that is unknown, by path.
    ImcnasError
        What the dataclass's constructor raises.
    """
    made: D = _build(pb, cls, f"{path}." if path else "")
    return made


@cache
def plans(cls: Any) -> tuple[Plan, ...]:
    """Read a dataclass's type hints, once; fields that its constructor does not take do not travel."""
    hints = get_type_hints(cls)
    return tuple(_plan(f, hints[f.name]) for f in fields(cls) if f.init)


def _plan(field: Any, hint: Any) -> Plan:
    repeated = get_origin(hint) is tuple
    if repeated:
        hint = get_args(hint)[0]
    members = [m for m in get_args(hint) if m is not NoneType] if _is_union(hint) else [hint]
    nullable = _is_union(hint) and NoneType in get_args(hint)
    default: Callable[[], Any] | None = None
    if field.default_factory is not MISSING:
        default = field.default_factory
    elif field.default is not MISSING or nullable:
        value = None if field.default is MISSING else field.default
        default = lambda: value  # noqa: E731  # one expression, named by its use
    kinds = {m.kind: m for m in members} if len(members) > 1 else {}
    return Plan(
        name=field.name,
        type=None if kinds else members[0],
        kinds=kinds,
        repeated=repeated,
        nullable=nullable,
        default=default,
        none_is_zero=nullable and field.default not in (MISSING, None),
        most=field.metadata.get("most"),
    )


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def enum_prefix(enum: Any) -> str:
    """Prefix of an enum's values, such as ``POOL_MODE_``."""
    return str(enum.values_by_number[0].name).removesuffix(UNSPECIFIED)


def _fill(value: Any, pb: Message, path: str) -> None:
    cls: Any = type(value)
    for plan in plans(cls):
        item, at = getattr(value, plan.name), f"{path}{plan.name}"
        if item is None:
            if plan.none_is_zero:
                setattr(pb, plan.name, 0)
            continue
        field = pb.DESCRIPTOR.fields_by_name[plan.name]
        if plan.kinds or is_dataclass(plan.type):
            target = getattr(pb, plan.name)
            for i, part in enumerate(item if plan.repeated else (item,)):
                child = target.add() if plan.repeated else target
                child.SetInParent()
                where = f"{at}[{i}]." if plan.repeated else f"{at}."
                if plan.kinds:
                    child, where = getattr(child, part.kind), f"{where}{part.kind}."
                    child.SetInParent()
                _fill(part, child, where)
            continue
        try:
            if plan.repeated:
                getattr(pb, plan.name).extend(_pack(part, field) for part in item)
            else:
                setattr(pb, plan.name, _pack(item, field))
        except (TypeError, ValueError) as error:
            wanted = f"a value that the wire can carry ({error})"
            raise InvalidRequest.of(violation(at, item, wanted)) from None


def _pack(value: Any, field: Any) -> Any:
    if field.enum_type is None:
        return value
    return field.enum_type.values_by_name[enum_prefix(field.enum_type) + value.name].number


def _build(pb: Message, cls: Any, path: str) -> Any:
    return cls(**{plan.name: _value(pb, plan, f"{path}{plan.name}") for plan in plans(cls)})


def _value(pb: Message, plan: Plan, path: str) -> Any:
    field = pb.DESCRIPTOR.fields_by_name[plan.name]
    value = getattr(pb, plan.name)
    if plan.repeated:
        if plan.most is not None and len(value) > plan.most:
            raise InvalidRequest.of(violation(path, f"{len(value)} items", f"at most {plan.most}"))
        return tuple(_unpack(item, field, plan, f"{path}[{i}]") for i, item in enumerate(value))
    # A string and an enum have no presence of their own: "" and 0 stand for "not set".
    is_set = pb.HasField(plan.name) if field.has_presence else bool(value)
    if is_set and plan.none_is_zero and value == 0:
        return None
    if is_set or not (field.has_presence or field.enum_type or plan.type is str):
        return _unpack(value, field, plan, path)
    if plan.default is not None:
        return plan.default()
    if plan.type is str:
        return ""
    raise InvalidRequest.of(missing(path))


def _unpack(value: Any, field: Any, plan: Plan, path: str) -> Any:
    if plan.kinds:
        kind = value.WhichOneof(field.message_type.oneofs[0].name)
        if kind is None:
            raise InvalidRequest.of(missing(path, one_of(plan.kinds)))
        return _build(getattr(value, kind), plan.kinds[kind], f"{path}.{kind}.")
    if field.enum_type is not None:
        return _member(value, field.enum_type, plan.type, path)
    return _build(value, plan.type, f"{path}.") if is_dataclass(plan.type) else value


def _member(number: int, enum: Any, cls: type[StrEnum], path: str) -> StrEnum:
    known = enum.values_by_number.get(number)
    name = known.name.removeprefix(enum_prefix(enum)) if known else UNSPECIFIED
    if name not in cls.__members__:
        names = (v.name for v in enum.values if v.number)
        raise InvalidRequest.of(violation(path, known.name if known else number, one_of(names)))
    return cls[name]
