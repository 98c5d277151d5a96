"""The terminal: one console for results, one for progress and messages, and bars."""

from __future__ import annotations

import os
import sys

from rich.console import Console

WIDE = 160
"""Width of output that goes to a file or a pipe: nothing is broken that a program may read."""

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)
MESSAGES = Console(stderr=True, highlight=False)


def bar(share_frac: float, width: int = 20) -> str:
    """Draw a share, 0 to 1, as a bar with its percentage."""
    full = round(max(0.0, min(1.0, share_frac)) * width)
    return f"{'█' * full}{'░' * (width - full)} {share_frac:6.1%}"
