"""Exit codes that are told in one place: 0 done, 1 an item failed, 2 could not start as asked, and these."""

from __future__ import annotations

INTERRUPTED = 130
"""Stopped by Ctrl-C."""

PIPE = 141
"""What a shell reports of a program that SIGPIPE ended."""
