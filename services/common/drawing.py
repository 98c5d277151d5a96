"""What the figures of all rooms share: colours, axes, titles. Matplotlib is loaded when one is drawn.

Drawn with Matplotlib's objects alone: no display, no global state.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Literal

from services.common.errors import InvalidRequest, Violation, violation
from services.common.files import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by the colour-blind, and in print.
BLUE, GREEN, VERMILION, ORANGE = "#0072B2", "#009E73", "#D55E00", "#E69F00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#F0E442"
INK, GREY, GRID, PALE = "#222222", "#7A7A7A", "#E6E6E6", "#F2F2F2"

_MOST_ABOUT = 160
"""Characters of a line below a title."""

_LOG_RATIO = 10.0

FORMATS = (".png", ".svg", ".pdf")
"""Kinds of files that figures are saved as."""


def new_figure(width_in: float = 7.4, height_in: float = 4.7) -> Figure:
    """Make an empty figure."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), dpi=200, layout="constrained")


def style(axes: Axes) -> None:
    """Leave of the axes what is needed."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK)


def short(name: str, width: int = 60) -> str:
    """Cut a name that is longer in its middle: names tend to differ at their ends."""
    if len(name) <= width:
        return name
    return f"{name[: width // 2 - 3]}...{name[-(width - width // 2) :]}"


def plain(name: str, width: int = 60) -> str:
    """Make a name from outside fit for a figure: of bounded length, and no formula whatever it holds."""
    return short(name, width).replace("$", r"\$")


def head(axes: Axes, title: str, *about: str, width_in: float = 7.0) -> None:
    """Write the title, and below it what the figure is about, in lines of at most `width_in`."""
    lines = [line for text in about for line in wrap(plain(text, _MOST_ABOUT), int(14 * width_in))]
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=8 + 12 * len(lines))
    subtitle = axes.annotate(
        "\n".join(lines), (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points",
        fontsize=8.5, color=GREY,
    )  # fmt: skip
    subtitle.set_in_layout(False)  # it may reach over the axes beside it


def unit_of(values: Iterable[float], units: Mapping[str, float]) -> tuple[str, float]:
    """Choose the first of `units` that the largest value reaches, else the last."""
    largest = max(values)
    return next((unit for unit in units.items() if largest >= unit[1]), [*units.items()][-1])


def log_where_wide(axes: Axes, which: Literal["x", "y"], values: Iterable[float]) -> None:
    """Make an axis logarithmic where the largest value exceeds the least by more than ten times."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    found = list(values)
    if not max(found) > _LOG_RATIO * min(found) > 0:
        return
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    few_decades = max(found) < _LOG_RATIO**2.5 * min(found)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few_decades else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.set_minor_formatter(NullFormatter())


def check_figure_path(field: str, path: Path) -> None:
    """Check, before any work is done, that a figure can be saved as `path`.

    Raises
    ------
    InvalidRequest
        Naming `field`: another kind of file, no such folder, or a folder itself.
    """
    if path.suffix.lower() not in FORMATS:
        raise InvalidRequest.of(violation(field, str(path), "a name that ends in .png, .svg or .pdf"))
    if not path.parent.is_dir():
        raise InvalidRequest.of(violation(field, str(path), "a file in a folder that exists"))
    if os.path.isdir(path):  # Path's raises on a name that is too long
        raise InvalidRequest.of(violation(field, str(path), "a file; there is a folder of that name"))


def save(figure: Figure, path: Path) -> None:
    """Save a figure, whole or not at all, as the kind of file that its name says.

    Raises
    ------
    InvalidRequest
        The file cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.lower().removeprefix("."))
    try:
        write_file(path, content.getvalue())
    except OSError as error:
        raise InvalidRequest.of(Violation(str(path), f"cannot be written: {error}")) from error
