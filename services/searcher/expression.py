"""Arithmetic over what a network costs and how accurate it is, read safely and with its units checked.

Values are in accuracy as a fraction, ms, uJ, mm2, mW (which is uJ/ms) and counts.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from services.common.errors import ImcnasError, InvalidRequest, one_of, violation

Values = Mapping[str, float]
Dimension = tuple[Fraction, ...]
"""Exponents of `BASES`."""

BASES = ("ms", "uJ", "mm2")
NUMBER: Dimension = (Fraction(0),) * 3
TIME, ENERGY, AREA = (tuple(Fraction(i == j) for j in range(3)) for i in range(3))
POWER: Dimension = (Fraction(-1), Fraction(1), Fraction(0))

QUANTITIES: Mapping[str, Dimension] = {
    "accuracy": NUMBER,
    "latency": TIME,
    "energy": ENERGY,
    "area": AREA,
    "average_power": POWER,
    "tiles": NUMBER,
    "params": NUMBER,
    "macs": NUMBER,
}

_UNITS: Mapping[str, tuple[float, Dimension]] = {
    "ns": (1e-6, TIME), "us": (1e-3, TIME), "ms": (1.0, TIME), "s": (1e3, TIME),
    "nJ": (1e-3, ENERGY), "uJ": (1.0, ENERGY), "mJ": (1e3, ENERGY), "J": (1e6, ENERGY),
    "um2": (1e-6, AREA), "mm2": (1.0, AREA), "cm2": (1e2, AREA),
    "uW": (1e-3, POWER), "mW": (1.0, POWER), "W": (1e3, POWER),
}  # fmt: skip

_WITH_UNIT = re.compile(rf"(?<![\w.])(\d+\.?\d*(?:e[+-]?\d+)?)\s*({'|'.join(_UNITS)})\b")
_WORD = re.compile(r"(?<![\w.])[A-Za-z]\w*")
_OPERATORS: Mapping[type[ast.operator], tuple[str, Callable[[float, float], float]]] = {
    ast.Add: ("add", operator.add),
    ast.Sub: ("subtract", operator.sub),
    ast.Mult: ("multiply", operator.mul),
    ast.Div: ("divide", operator.truediv),
}
MAX_LENGTH = 200
MAX_POWER = 8


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression.

    Parameters
    ----------
    text : str
        As it is always written, whatever the spaces and capitals it was read with.
    dimension : tuple of Fraction
    uses : frozenset of str
        Quantities in it.
    evaluate : callable
        Given the value of each, the expression's; ArithmeticError or ValueError where it has none.
    """

    text: str
    dimension: Dimension
    uses: frozenset[str]
    evaluate: Callable[[Values], float] = field(compare=False, repr=False)

    @property
    def unit(self) -> str:
        """Such as ``1/ms``; empty for a plain number."""
        over, under = (
            " ".join(
                base + (f"^{abs(power)}" if abs(power) != 1 else "")
                for base, power in zip(BASES, self.dimension, strict=True)
                if power * sign > 0
            )
            for sign in (1, -1)
        )
        if not under:
            return over
        return f"{over or 1}/({under})" if " " in under else f"{over or 1}/{under}"


def parse_expression(text: str) -> Expression:
    """Read an expression such as ``accuracy / (latency * energy)`` or ``accuracy - 0.1 * latency / 2ms``.

    Numbers, with a unit or without; `QUANTITIES`; ``+ - * / **``; ``min max log sqrt``.

    Raises
    ------
    InvalidRequest
        Saying what is wrong: an unknown name, a sum of different units, anything else that Python knows.
    """
    return build(parse_tree(text), text)


def parse_tree(text: str) -> ast.expr:
    """Read the syntax alone."""
    if len(text) > MAX_LENGTH:
        raise wrong(text, f"at most {MAX_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused below
            return ast.parse(_WORD.sub(_small, _WITH_UNIT.sub(r"(\1*\2)", text.strip())), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise wrong(text, "an expression such as accuracy/latency or accuracy/(latency*energy)") from None


def _small(word: re.Match[str]) -> str:
    """Take every word but a unit in small letters."""
    return word[0] if word[0] in _UNITS else word[0].lower()


def wrong(text: str, wanted: str, fix: str = "") -> ImcnasError:
    """Make the error of an objective that cannot be."""
    return InvalidRequest.of(violation("objective", text, wanted, fix))


def build(node: ast.expr, text: str) -> Expression:
    """Check a tree and make what computes it."""
    dimension, uses, evaluate = _build(node, text)
    return Expression("".join(ast.unparse(node).split()), dimension, uses, evaluate)


_Built = tuple[Dimension, frozenset[str], Callable[[Values], float]]


def _build(node: ast.expr, text: str) -> _Built:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            number = float(value) if abs(value) < 1e300 else math.inf
            if not math.isfinite(number):
                raise wrong(text, "numbers below 1e300")
            return NUMBER, frozenset(), lambda values: number
        case ast.Name(id=name):
            return _name(name, text)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            dimension, uses, inner = _build(operand, text)
            if isinstance(sign, ast.UAdd):
                return dimension, uses, inner
            return dimension, uses, lambda values: -inner(values)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(left, right, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _binary(left, op, right, text)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if arguments:
            return _call(name, arguments, text)
    raise wrong(
        text, f"numbers, quantities, + - * / **, min, max, log and sqrt, and not {ast.unparse(node)!r}"
    )


def _name(name: str, text: str) -> _Built:
    if name in _UNITS:
        size, dimension = _UNITS[name]
        return dimension, frozenset(), lambda values: size
    if name not in QUANTITIES:
        raise wrong(text, f"quantities that are {one_of(QUANTITIES, name)}")
    return QUANTITIES[name], frozenset([name]), lambda values: values[name]


def _binary(left: ast.expr, op: ast.operator, right: ast.expr, text: str) -> _Built:
    a, a_uses, a_value = _build(left, text)
    b, b_uses, b_value = _build(right, text)
    verb, compute = _OPERATORS[type(op)]
    if isinstance(op, ast.Mult | ast.Div):
        sign = 1 if isinstance(op, ast.Mult) else -1
        dimension = tuple(x + sign * y for x, y in zip(a, b, strict=True))
    else:
        _same((left, right), (a, b), verb, text)
        dimension = a
    return dimension, a_uses | b_uses, lambda values: compute(a_value(values), b_value(values))


def _power(base: ast.expr, exponent: ast.expr, text: str) -> _Built:
    dimension, uses, value = _build(base, text)
    nature, inside, constant = _build(exponent, text)
    if inside or nature != NUMBER:
        raise wrong(text, "powers that are plain numbers, such as accuracy**2")
    power = constant({})
    if abs(power) > MAX_POWER or power * 2 % 1:
        raise wrong(text, f"powers in halves from -{MAX_POWER} to {MAX_POWER}")
    raised = tuple(x * Fraction(power) for x in dimension)

    def evaluate(values: Values) -> float:
        result = value(values) ** power
        if isinstance(result, complex):
            raise ValueError("a root of a negative number")
        return float(result)

    return raised, uses, evaluate


def _call(name: str, arguments: list[ast.expr], text: str) -> _Built:
    built = [_build(argument, text) for argument in arguments]
    dimension, uses = built[0][0], frozenset[str]().union(*(b[1] for b in built))
    inner = [b[2] for b in built]
    if name in ("min", "max") and len(built) > 1:
        _same(arguments, [b[0] for b in built], "compare", text)
        choose = min if name == "min" else max
        return dimension, uses, lambda values: choose(value(values) for value in inner)
    if name == "sqrt" and len(built) == 1:
        return tuple(x / 2 for x in dimension), uses, lambda values: math.sqrt(inner[0](values))
    if name == "log" and len(built) == 1:
        if dimension != NUMBER:
            unit = Expression("", dimension, uses, inner[0]).unit
            shown = ast.unparse(arguments[0])
            raise wrong(text, "log of a plain number", f"divide by a unit, as in log({shown} / (1 {unit}))")
        return NUMBER, uses, lambda values: math.log(inner[0](values))
    raise wrong(text, f"{name}({', '.join(map(ast.unparse, arguments))}) to be min, max, log or sqrt")


def _same(nodes: Sequence[ast.expr], dimensions: Sequence[Dimension], verb: str, text: str) -> None:
    """Refuse terms of different units."""
    shown = dict(zip(dimensions, nodes, strict=True))
    if len(shown) > 1:
        told = " and ".join(
            f"{ast.unparse(node)} ({Expression('', dimension, frozenset(), len).unit or 'a number'})"
            for dimension, node in shown.items()
        )
        raise wrong(text, f"one unit where there are {told}", f"{verb} only what has the same unit")
