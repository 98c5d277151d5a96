"""Calls of the kernel: scratch memory a thread keeps, and batches on all cores."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from services.hw_oracle.compiled import kernel
from services.hw_oracle.compiled.pack import Packed, PackedChip, Records
from services.hw_oracle.compiled.records import LATENCY_MODULES, LAYER_COST, POWER_MODULES, TOTALS

log = logging.getLogger(__name__)

CHUNK = 256
"""Networks that one core takes at a time."""

MOST_KEPT = 2**21
"""Values of scratch that a thread keeps, at most: 16 MiB. A larger network's are freed after it."""

PATIENCE_S = 3.0
"""Machine code from the disk is there sooner."""


class Scratch(threading.local):
    """Memory of a thread that one call after the other works in."""

    def __init__(self) -> None:
        self.finish = np.empty(2**15)
        self.grow(64)

    def grow(self, layers: int) -> None:
        """Have room for so many layers."""
        self.costs = np.zeros(layers, LAYER_COST)
        self.latency = np.zeros((layers, len(LATENCY_MODULES)))
        self.power = np.zeros((layers, len(POWER_MODULES)))


SCRATCH = Scratch()
"""Of the calling thread; after `run` it holds what became of each layer of the last network."""


def run(networks: Packed, chip: PackedChip) -> Records:
    """Cost networks one after the other, in this thread, without Python's lock.

    Returns
    -------
    (n,) TOTALS
    """
    totals = np.zeros(len(networks), TOTALS)
    if len(networks):
        if len(networks.layers) > len(SCRATCH.costs):  # the longest network may need more room
            longest = int(np.diff(networks.starts).max())
            if longest > len(SCRATCH.costs):
                SCRATCH.grow(longest)
        with _told_while_compiling():
            room = kernel.cost_networks(
                networks.images, networks.starts, networks.layers, networks.input_starts, networks.inputs,
                SCRATCH.costs, SCRATCH.latency, SCRATCH.power, SCRATCH.finish,
                chip.record, chip.cells, chip.sram, totals,
            )  # fmt: skip
        if len(SCRATCH.finish) < room <= MOST_KEPT:
            SCRATCH.finish = np.empty(room)
    return totals


def run_parallel(batches: Iterator[Packed], chip: PackedChip) -> Iterator[Records]:
    """Cost batches on all cores; yields the totals of each in order, with few batches in memory at once."""
    workers = cores()
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[Any] = []
        for batch in batches:
            waiting.append(pool.submit(run, batch, chip))
            if len(waiting) > 2 * workers:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_compiled = threading.Event()


@contextmanager
def _told_while_compiling() -> Iterator[None]:
    """Say so where the first call takes long: the machine code is made, once for a machine and version."""
    if _compiled.is_set():
        yield
        return
    timer = threading.Timer(
        PATIENCE_S,
        log.warning,
        ("imcnas: compiling the chip model for this machine, once: some ten seconds",),
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _compiled.set()
