"""The terminal: one console for results, one for progress and messages, and bars."""

from __future__ import annotations

import os
import sys

from rich.console import Console

WIDE = 160
"""Width of output that goes to a file or a pipe: nothing is broken that a program may read."""


def _open_closed() -> None:
    """Let what is written go nowhere where a caller closed a stream, as the shell's >&- does."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)  # or the next file that is opened would take its place
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def _pass_on(self: Console) -> None:
    """Pass on the broken pipe that is being handled; Rich itself exits with 1."""
    raise


_open_closed()
Console.on_broken_pipe = _pass_on  # type: ignore[method-assign]  # Typer has consoles of its own
CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)
MESSAGES = Console(stderr=True, highlight=False)


_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share_frac: float, largest_frac: float = 1.0, width: int = 20) -> str:
    """Draw a share with its percentage; the largest share's bar takes the whole width."""
    eighths = round(8 * width * min(1.0, share_frac / largest_frac)) if largest_frac > 0 else 0
    drawn = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return f"{drawn:{width}} {share_frac:6.1%}"
