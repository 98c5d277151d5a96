"""What a search maximises: an expression, or a front of several quantities."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from services.common.errors import TrainingFailed, one_of
from services.common.layers import LayerList, macs, params
from services.common.units import MW_PER_W, NJ_PER_UJ, NS_PER_MS, UM2_PER_MM2
from services.hw_oracle.types import CostReport
from services.searcher.expression import (
    QUANTITIES,
    Expression,
    Values,
    build,
    parse_expression,
    parse_tree,
    wrong,
)

ACCURACY = "accuracy"

PAPER = (ACCURACY, "accuracy/latency", "accuracy/energy")
"""Those of Amin, Mohammadi, Zand, "Multi-Objective Neural Architecture Search for In-Memory Computing"."""

FRONT = "pareto(accuracy,latency,energy)"

_OF_COST: Mapping[str, Callable[[CostReport], float]] = {
    "latency": lambda cost: cost.latency_ns / NS_PER_MS,
    "energy": lambda cost: cost.energy_nj / NJ_PER_UJ,
    "area": lambda cost: cost.area_um2 / UM2_PER_MM2,
    "average_power": lambda cost: cost.average_power_w * MW_PER_W,
    "tiles": lambda cost: cost.tiles,
}
_OF_NETWORK: Mapping[str, Callable[[LayerList], float]] = {"params": params, "macs": macs}


@dataclass(frozen=True, slots=True)
class Objective:
    """What is maximised.

    Parameters
    ----------
    text : str
        As it is always written, and stored.
    expression : Expression
        The fitness; of a front, the accuracy.
    front : tuple of str
        Quantities of a front, accuracy maximised, the others minimised; empty for a single fitness.
    """

    text: str
    expression: Expression
    front: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """Of the fitness, such as ``1/ms``; empty for a plain number."""
        return self.expression.unit

    @property
    def uses(self) -> tuple[str, ...]:
        """Quantities that decide it, as `QUANTITIES` orders them."""
        return tuple(name for name in QUANTITIES if name in self.expression.uses or name in self.front)

    def fitness(self, values: Values) -> float:
        """Give the fitness of a network with these `measures`.

        Raises
        ------
        TrainingFailed
            The expression has no value there, such as a logarithm of 0.
        """
        try:
            value = self.expression.evaluate(values)
        except (ArithmeticError, ValueError) as error:
            value, why = math.nan, str(error)
        else:
            why = f"it is {value}"
        if not math.isfinite(value):
            there = ", ".join(f"{name} {values[name]:g}" for name in self.uses)
            raise TrainingFailed(f"the objective {self.text} has no value at {there} ({why})")
        return value

    def point(self, values: Values) -> tuple[float, ...]:
        """Coordinates, all minimised: the front's costs and negated accuracy, or the negated fitness."""
        if not self.front:
            return (-self.fitness(values),)
        return (*(values[name] for name in self.front if name != ACCURACY), -values[ACCURACY])


@lru_cache(maxsize=64)
def parse_objective(text: str) -> Objective:
    """Read an objective: an expression such as ``accuracy/latency``, or ``pareto(accuracy, latency)``.

    Raises
    ------
    InvalidRequest
        It is neither, mixes units, or does not depend on accuracy.
    """
    tree = parse_tree(text)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "pareto":
        names = [node.id if isinstance(node, ast.Name) else ast.unparse(node) for node in tree.args]
        unknown = [name for name in names if name not in QUANTITIES]
        if unknown:
            raise wrong(text, f"quantities in pareto(...) that are {one_of(QUANTITIES, unknown[0])}")
        if ACCURACY not in names or len(set(names)) < 2 or len(set(names)) < len(names) or tree.keywords:
            raise wrong(text, "pareto(accuracy, ...) with one or more other quantities, each once")
        accuracy = parse_expression(ACCURACY)
        return Objective(f"pareto({','.join(names)})", accuracy, tuple(names))
    expression = build(tree, text)
    if ACCURACY not in expression.uses:
        fix = f"without it nothing needs training; such as {' or '.join(PAPER)}"
        raise wrong(text, "an expression of accuracy", fix)
    return Objective(expression.text, expression)


def measures(
    names: Sequence[str], accuracy_frac: float, cost: CostReport, network: Callable[[], LayerList]
) -> dict[str, float]:
    """Give the quantities of these names: accuracy as a fraction, in ms, uJ, mm2, mW and counts.

    Parameters
    ----------
    names : sequence of str
    accuracy_frac : float
    cost : CostReport
    network : callable
        Makes the network; called only where a name needs it.
    """
    values = {}
    for name in names:
        if name == ACCURACY:
            values[name] = accuracy_frac
        elif name in _OF_COST:
            values[name] = _OF_COST[name](cost)
        else:
            values[name] = _OF_NETWORK[name](network())
    return values
