"""A room as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from services.common.errors import ImcnasError, NotPossible


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Say which extra of the package to install where an import finds something missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "services").partition(".")[0] == "services":
            raise
        raise NotPossible(f"this needs {error.name}; run: pip install 'imcnas[{name}]'") from None


def serve_alone(begin: Callable[[], Coroutine[Any, Any, None]], extra_name: str) -> None:
    """Serve one room as this process; what forbids it is one line on stderr and exit code 2.

    Parameters
    ----------
    begin : callable
        Imports the room, and makes the coroutine that serves it.
    extra_name : str
        Extra of the package that has what the room needs.
    """
    try:
        with extra(extra_name):
            serving = begin()
        asyncio.run(serving)
    except ImcnasError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
