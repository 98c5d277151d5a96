"""Tables for people: columns that do not fit the terminal are left out and named, and no number is cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

GAP = 2
"""Blanks between columns."""

_LEAST = 12
"""Characters of the narrowest column whose cells may be broken."""

Column = tuple[str, Sequence[str]]
"""A heading, and the cells below it."""


def plain_table(*columns: str, left: int = 1) -> Table:
    """Make a table without lines; all columns but the first `left` are numbers, and no cell is broken."""
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(
            Text(column), justify="left" if position < left else "right", no_wrap=True, vertical="bottom"
        )
    return table


def break_cells(table: Table, position: int) -> None:
    """Let the cells of a column, such as names, take several lines where they do not fit one."""
    column = table.columns[position]
    column.no_wrap, column.overflow = False, "fold"


def width_of(column: Column) -> int:
    """Count the characters that a column takes, with the gap behind it."""
    heading, cells = column
    return max(map(cell_len, (heading, *cells))) + GAP


def fitting(
    columns: Iterable[Column], width: int, expendable: Sequence[str]
) -> tuple[list[Column], list[str]]:
    """Leave out the columns of `expendable` headings, the first one first, until the others fit.

    Returns
    -------
    list of Column
        Those that are left.
    list of str
        Headings of those that are not.
    """
    kept, left_out = list(columns), list[str]()
    for heading in expendable:
        if sum(map(width_of, kept)) - GAP <= width:
            break
        if any(name == heading for name, _ in kept):
            kept = [column for column in kept if column[0] != heading]
            left_out.append(heading)
    return kept, left_out


def print_table(console: Console, table: Table, left_out: Sequence[str] = (), has_all: str = "") -> None:
    """Print a table, and what was left out of it; rather than cut a number, lines leave the terminal."""
    needed = -GAP
    for column in table.columns:
        cells = [cell.plain if isinstance(cell, Text) else str(cell) for cell in column.cells]
        most = column.max_width or console.width if column.no_wrap else _LEAST
        column.min_width = min(width_of((str(column.header), cells)) - GAP, most)
        needed += column.min_width + GAP
    if needed > console.width:
        table.width = needed
    console.print(table, crop=False)
    if left_out:
        told = f"Left out, for want of width: {', '.join(left_out)}.{has_all and ' '}{has_all}"
        console.print(told, style="dim", markup=False)
