"""A calculation as one would write it down: each quantity with its equation, the numbers put in, the result.

The results come from the model's own functions. The equations are text in Python's syntax over the symbols,
so that a test, or a program that reads them, can work them out again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.hw_oracle.fields import field_value
from services.hw_oracle.types import ChipConfig

FUNCTIONS = ("ceil", "floor", "log2", "max", "min", "power_of_two", "sqrt", "stages")
"""Functions in equations: Python's, `power_of_two` that rounds up, and a multiplexer's `stages`."""

UNITS = {
    "ns": "ns", "nj": "nJ", "um2": "um2", "w": "W", "v2": "V2", "v": "V", "ohm": "ohm", "nm": "nm",
    "kb": "KB", "mhz": "MHz", "gsps": "GS/s", "gbps": "bit/ns", "hops": "hops", "frac": "",
}  # fmt: skip
"""Unit by the last part of a symbol's name; counts, such as bits, have none."""

_SYMBOL = re.compile(r"(?<![\w.])[A-Za-z_][\w.]*")  # not the e of 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One quantity.

    Parameters
    ----------
    section : str
        What it belongs to, such as ``energy of one inference``.
    name : str
        What it is, in words.
    symbol : str
        By which the equations below name it; it ends with the unit.
    equation : str
        Over symbols of earlier terms, of the layer, and of the chip's fields by the ends of their paths;
        empty for what is looked up or searched for, as `name` says.
    given : tuple of (str, float)
        The numbers put in, by symbol.
    value : float
    """

    section: str
    name: str
    symbol: str
    equation: str
    given: tuple[tuple[str, float], ...]
    value: float

    @property
    def unit(self) -> str:
        """Unit of the value; empty for a count or a share."""
        return unit(self.symbol)

    def with_numbers(self) -> str:
        """Write the equation with the numbers, and their units, in place of the symbols."""
        numbers = dict(self.given)
        return _SYMBOL.sub(
            lambda found: quantity(found[0], numbers[found[0]]) if found[0] in numbers else found[0],
            self.equation,
        )


def unit(symbol: str) -> str:
    """Tell the unit that a symbol's name ends with."""
    return UNITS.get(symbol.rpartition("_")[2], "")


def quantity(symbol: str, value: float) -> str:
    """Write a value with its symbol's unit, to seven digits."""
    return f"{float(f'{value:.7g}'):,.12g} {unit(symbol)}".rstrip()


class Worksheet:
    """Collects terms; an equation may name what was given or worked out before, and any field of the chip."""

    def __init__(self, chip: ChipConfig) -> None:
        self.terms: list[Term] = []
        self._chip, self._known, self._section = chip, dict[str, float](), ""

    def section(self, name: str) -> None:
        """Begin a section."""
        self._section = name

    def give(self, **values: float) -> None:
        """Name numbers of the layer."""
        self._known |= values

    def add(self, name: str, symbol: str, equation: str, value: float) -> None:
        """Add a quantity whose value the model has worked out."""
        given = tuple((used, self._value(used)) for used in symbols(equation))
        self._known[symbol] = value
        self.terms.append(
            Term(section=self._section, name=name, symbol=symbol, equation=equation, given=given, value=value)
        )

    def _value(self, symbol: str) -> float:
        if symbol in self._known:
            return self._known[symbol]
        value: Any = field_value(self._chip, symbol)
        number: float = value + 0  # a flag is 0 or 1
        return number


def symbols(equation: str) -> Iterator[str]:
    """Yield each symbol of an equation once."""
    return iter(dict.fromkeys(name for name in _SYMBOL.findall(equation) if name not in FUNCTIONS))
