"""The terminal: one console for results, one for progress and messages, and bars."""

from __future__ import annotations

import os
import sys

from rich.console import Console

WIDE = 160
"""Width of output that goes to a file or a pipe: nothing is broken that a program may read."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Pass on what is being handled; Rich itself exits with 1."""
        raise


CONSOLE = _Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)
MESSAGES = _Console(stderr=True, highlight=False)


_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share_frac: float, largest_frac: float = 1.0, width: int = 20) -> str:
    """Draw a share with its percentage; the largest share's bar takes the whole width."""
    eighths = round(8 * width * min(1.0, share_frac / largest_frac)) if largest_frac > 0 else 0
    drawn = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return f"{drawn:{width}} {share_frac:6.1%}"
