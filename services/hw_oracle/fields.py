"""The chip's fields by name: a path in its tree, such as ``tile.pe.crossbar.rows``, or any end of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from math import isfinite
from typing import Any

from services.common.errors import MAX_NAME, InvalidRequest, Violation, one_of, violation
from services.hw_oracle.checked import field_types
from services.hw_oracle.converters import ADC_CHOICES, DAC_CHOICES
from services.hw_oracle.types import ChipConfig

DERIVED = "derived"
"""How a value is written that the model derives: None in the tree."""

_CHOICE = "choice"

CHOICES: dict[str, Mapping[int, object]] = {
    f"tile.pe.adc.{_CHOICE}": ADC_CHOICES,
    f"tile.pe.dac.{_CHOICE}": DAC_CHOICES,
}
"""Names that stand for all fields of a converter: the entries of MNSIM 2.0's tables."""

Value = str | int | float | bool | None


@cache
def chip_fields() -> dict[str, tuple[type, ...]]:
    """Types of each field of the chip by its path."""
    return dict(_fields(ChipConfig, ""))


def _fields(cls: Any, prefix: str) -> Iterator[tuple[str, tuple[type, ...]]]:
    for f in fields(cls):
        kinds = field_types(cls)[f.name]
        if is_dataclass(kinds[0]):
            yield from _fields(kinds[0], f"{prefix}{f.name}.")
        else:
            yield f"{prefix}{f.name}", kinds


@cache
def full_path(name: str) -> str:
    """Find the one field whose path is `name` or ends with it.

    Raises
    ------
    InvalidRequest
        No field does, or several; its field is `name`.
    """
    known = [*chip_fields(), *CHOICES]
    name = name.removeprefix("chip.")
    found = [path for path in known if path == name or path.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        wanted = f"one of {', '.join(found)}"
        raise InvalidRequest.of(Violation(name, f"means several fields of the chip, wanted {wanted}"))
    ends = {path.split(".", n)[-1]: path for path in known for n in range(path.count(".") + 1)}
    close = dict.fromkeys(ends[end] for end in get_close_matches(name[:MAX_NAME], ends, n=3, cutoff=0.5))
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    told = f"is no field of the chip{meant}; `imcnas chips show mnsim2_default` shows all"
    raise InvalidRequest.of(Violation(name[:MAX_NAME] or repr(name), told))


@cache
def short_name(path: str) -> str:
    """Shortest end of a field's path that means this field alone."""
    known = [*chip_fields(), *CHOICES]
    ends = [path.split(".", n)[-1] for n in reversed(range(path.count(".") + 1))]
    return next(
        end for end in ends if sum(f".{other}".endswith(f".{end}") for other in known) == 1 or end == path
    )


def field_value(chip: ChipConfig, name: str) -> Value:
    """Value of the field that `name` means."""
    value: Any = chip
    for part in full_path(name).split("."):
        value = getattr(value, part)
    return value  # type: ignore[no-any-return]  # the tree's leaves are values


MAX_NUMBER = 40
"""Characters of the longest number: more than any value that a field takes has."""


def read_value(path: str, text: str) -> Value:
    """Read a value as it is written on a command line.

    Raises
    ------
    InvalidRequest
        It is of another type than the field's. Ranges are the chip's own to check.
    """
    if path in CHOICES:
        names = {str(key): key for key in CHOICES[path]}
        if text not in names:
            raise InvalidRequest.of(violation(path, text, one_of(names)))
        return names[text]
    kind, *others = chip_fields()[path]
    if others and text == DERIVED:
        return None
    if issubclass(kind, StrEnum):
        if text not in list(kind):
            raise InvalidRequest.of(violation(path, text, one_of(kind, text)))
        return text
    if kind is bool:
        if text not in ("true", "false"):
            raise InvalidRequest.of(violation(path, text, "true or false"))
        return text == "true"
    try:
        if len(text) > MAX_NUMBER:
            raise ValueError
        number = int(text) if kind is int else float(text)
        if not isfinite(number):
            raise ValueError
        return number
    except ValueError:
        noun = "an integer" if kind is int else "a number"
        wanted = f"{noun}, or {DERIVED}" if others else noun
        raise InvalidRequest.of(violation(path, text, wanted)) from None


def value_text(value: Value) -> str:
    """Write a value as `read_value` reads it."""
    if value is None:
        return DERIVED
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.12g}"
    return short if float(short) == value else repr(value)


def with_fields(chip: ChipConfig, values: Mapping[str, Value]) -> ChipConfig:
    """Change fields by their full paths, all at once; a converter's choice comes before its single fields.

    Raises
    ------
    InvalidChip
        The fields do not make a chip.
    """
    changed: ChipConfig = _with_fields(chip, values)
    return changed


def _with_fields(node: Any, values: Mapping[str, Any]) -> Any:
    own, below = dict[str, Any](), dict[str, dict[str, Any]]()
    for path, value in values.items():
        name, _, rest = path.partition(".")
        if rest:
            below.setdefault(name, {})[rest] = value
        else:
            own[name] = value
    if (choice := own.pop(_CHOICE, None)) is not None:
        node = CHOICES[f"{node.path.removeprefix('chip.')}.{_CHOICE}"][choice]
    return replace(node, **own, **{name: _with_fields(getattr(node, name), v) for name, v in below.items()})
