"""The values of a SimConfig.ini by key: typed, with all that is wrong with them, and which have no effect."""

from __future__ import annotations

from collections.abc import Callable
from configparser import ConfigParser
from configparser import Error as ParserError
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

from services.common.errors import MAX_SHOWN, InvalidChip, Violation, one_of, violation
from services.hw_oracle.chip_text import limited
from services.hw_oracle.simconfig_keys import sections, sources, without_effect

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ignored:
    """A key of a file that has no effect.

    Parameters
    ----------
    key : str
        With its section, such as ``[Interface level] ADC_Area``.
    why : str
    """

    key: str
    why: str


class _Parser(ConfigParser):
    """A parser that leaves the case of keys as it is, for messages."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


class Values:
    """Typed values of a file by key; what is wrong is collected, and MNSIM's default stands in for it.

    Attributes
    ----------
    wrong : list of Violation
    ignored : list of Ignored
    """

    def __init__(self, text: str) -> None:
        known = sections()
        dropped = {section: without_effect(section) for section in known}
        self.defaults = {
            key: default
            for section, keys in known.items()
            for key, default in keys.items()
            if key not in dropped[section]
        }
        self.given: dict[str, tuple[str, str]] = {}  # section and text of the keys that have an effect
        self.wrong: list[Violation] = []
        self.ignored: list[Ignored] = []
        self.fields = sources()
        for section, items in _parsed(text).items():
            if section not in known:
                wanted = one_of(known, section)
                self.wrong.append(Violation(f"[{section}]", f"unknown section, wanted {wanted}"))
                continue
            spelled = {key.lower(): key for key in known[section]}
            for name, value in items:
                key, place = spelled.get(name.lower(), ""), f"[{section}] {name}"
                if not key:
                    home = next((f"[{s}]" for s, keys in known.items() if name in keys), "")
                    wanted = f"it in {home}" if home else one_of(spelled.values(), name)
                    self.wrong.append(Violation(place, f"unknown key, wanted {wanted}"))
                elif key in dropped[section]:
                    self.ignored.append(Ignored(f"[{section}] {key}", dropped[section][key]))
                elif key in self.given:
                    self.wrong.append(Violation(place, "is given twice"))
                else:
                    self.given[key] = section, value.strip()

    def ignore(self, why: str, *keys: str) -> None:
        """Note that the file's values of these keys have no effect."""
        self.ignored += [Ignored(f"[{self.given[key][0]}] {key}", why) for key in keys if key in self.given]

    def node(self, cls: type[T], **values: Any) -> T:
        """Make a node of the chip."""
        try:
            return cls(**values)
        except InvalidChip as error:
            self.wrong += map(self._with_key, error.violations)
            return cls()

    def text(self, key: str) -> str:
        """Give the key's text, the file's or the default."""
        return self.given[key][1] if key in self.given else self.defaults[key]

    def number(self, key: str) -> float:
        """Read a finite number."""
        return self._list(key, _finite, 1)[0]

    def integer(self, key: str) -> int:
        """Read a whole number."""
        return self._list(key, int, 1)[0]

    def integers(self, key: str, length: int) -> tuple[int, ...]:
        """Read so many whole numbers, separated by commas."""
        return self._list(key, int, length)

    def first_and_last(self, key: str, level_key: str) -> tuple[float, float]:
        """Give the ends of a list with one value a level."""
        levels = self.integer(level_key)
        values = self._list(key, _finite, levels)
        if len(values) > 2:
            self.ignore(f"of its {levels} values the first and the last count", key)
        return values[0], values[-1]

    def choice(self, key: str, choices: dict[int, T] | dict[str, T]) -> T:
        """Give what the key's number, or its text, stands for."""
        known: dict[Any, T] = dict(choices)
        read = int if isinstance(next(iter(known)), int) else str
        value = self._list(key, read, 1)[0] if read is int else self.text(key)
        if value in known:
            return known[value]
        self.wrong.append(violation(key, value, one_of(map(str, known), str(value))))
        return known[read(self.defaults[key])]

    def _list(self, key: str, kind: Callable[[str], T], length: int) -> tuple[T, ...]:
        try:
            values = tuple(kind(part) for part in self.text(key).split(","))
        except ValueError:
            values = ()
        if len(values) == length:
            return values
        noun = "whole number" if kind is int else "finite number"
        wanted = f"a {noun}" if length == 1 else f"{length} {noun}s, separated by commas"
        self.wrong.append(violation(key, self.text(key), wanted))
        return tuple(kind(part) for part in self.defaults[key].split(","))

    def _with_key(self, wrong: Violation) -> Violation:
        """Add the key that a field of the chip comes from."""
        key = self.fields.get(wrong.field)
        hint = f"; change {key}, which it comes from" if key else ""
        return Violation(wrong.field, wrong.description + hint)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError
    return value


def _parsed(text: str) -> dict[str, list[tuple[str, str]]]:
    parser = _Parser(interpolation=None, default_section="")  # no section lends its keys to the others
    try:
        parser.read_string(limited(text))
    except ParserError as error:
        raise InvalidChip(
            f"this is no SimConfig.ini: {' '.join(error.message.split())[:MAX_SHOWN]}"
        ) from None
    return {section: list(parser[section].items()) for section in parser.sections()}
