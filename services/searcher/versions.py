"""What this process searches with."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version

import services
from services.searcher.types import Versions


@cache
def versions() -> Versions:
    """Versions of this process: those of the cost model and of the worker come with their reports."""
    return Versions(
        imcnas=services.__version__, python=platform.python_version(), hyperopt=version("hyperopt")
    )
