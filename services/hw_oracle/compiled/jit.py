"""How the kernel's functions are compiled."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

import numba

log = logging.getLogger(__name__)

part = numba.njit(error_model="numpy", nogil=True)
"""Compiles a function that entries call; it is kept with each entry that it is a part of."""

_OURS = re.compile(r"^from (services[\w.]*) import", re.MULTILINE)


def entry(make: Callable[[str], Callable[..., Any]]) -> Any:
    """Compile the function that `make` makes, and keep the machine code on disk.

    numba keeps an entry by its own source and its closure, and knows nothing of the parts that it calls, nor
    of the constants that these take from other files. So `make` is given the hash of all sources it may rest
    on, for the function to close over: a change in any of them makes new machine code.
    """
    function = make(_sources_hash(make.__module__))
    try:
        return numba.njit(error_model="numpy", nogil=True, cache=True)(function)
    except RuntimeError as error:  # there is no folder that can be written
        log.warning("imcnas: the chip model is compiled at each start: %s; set NUMBA_CACHE_DIR", error)
        return part(function)


@cache
def _sources_hash(module: str) -> str:
    """Hash a module's source and, over and over, those of our modules that it imports."""
    texts: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        package, _, stem = name.rpartition(".")
        file = resources.files(package) / f"{stem}.py"
        if name not in texts and file.is_file():
            texts[name] = file.read_text("utf-8")
            waiting += _OURS.findall(texts[name])
    return sha256(repr(sorted(texts.items())).encode()).hexdigest()
