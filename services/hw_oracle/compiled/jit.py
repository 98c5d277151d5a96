"""How the kernel's functions are compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

import numba

part = numba.njit(error_model="numpy", nogil=True)
"""Compiles a function that entries call; it is kept with each entry that it is a part of."""


def entry(make: Callable[[str], Callable[..., Any]]) -> Any:
    """Compile the function that `make` makes, and keep the machine code on disk.

    numba keeps an entry by its own source and its closure, and knows nothing of the parts that it calls.
    So `make` is given the hash of all sources, for the function to close over: a change in any part makes
    new machine code.
    """
    return numba.njit(error_model="numpy", nogil=True, cache=True)(make(_sources_hash()))


@cache
def _sources_hash() -> str:
    folder = resources.files("services.hw_oracle.compiled")
    texts = sorted((f.name, f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".py"))
    compiled = [text for name, text in texts if name == "records.py" or "compiled.jit import" in text]
    return sha256(repr(compiled).encode()).hexdigest()
