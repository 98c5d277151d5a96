"""The terms of a layer's cost, as a sheet for people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.hw_oracle.worksheet import quantity

if TYPE_CHECKING:
    from services.hw_oracle.worksheet import Term


def show_terms(console: Console, title: str, terms: Sequence[Term]) -> None:
    """Print each term: its name and symbol, its equation, the numbers put in, and the result."""
    console.print(f"\n[bold]{title}[/bold]")
    names_width = max(26, min(36, console.width // 4))
    for section, members in groupby(terms, key=lambda term: term.section):
        console.print(f"\n[bold]{section}[/bold]")
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(width=names_width)
        table.add_column(overflow="fold")
        for term in members:
            table.add_row(term.name, _equation(term, console.width - names_width - 4))
        console.print(table)


def _equation(term: Term, width: int) -> Text:
    """Write a term in a line or, where that is too long, the numbers in a second one."""
    result = quantity(term.symbol, term.value)
    text = Text(term.symbol, "cyan")
    if term.given:
        text.append(f" = {_pretty(term.equation)}", "default")
    numbers = _pretty(term.with_numbers()) if term.given else result
    if numbers != result:
        whole = len(text) + len(numbers) + len(result) + 6
        text.append("\n" if whole > width else " ").append(f"= {numbers}", "dim")
    return text.append(f" = {result}", "bold")


def _pretty(equation: str) -> str:
    """Write an equation as people do."""
    return equation.replace("**2", "²").replace(" * ", " × ")
