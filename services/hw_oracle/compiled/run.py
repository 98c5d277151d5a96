"""Calls of the kernel: scratch memory a thread keeps, and batches on all cores."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import numpy as np

from services.hw_oracle.compiled import kernel
from services.hw_oracle.compiled.pack import Packed, PackedChip, Records
from services.hw_oracle.compiled.records import (
    COLUMNS,
    LATENCY_MODULES,
    LAYER,
    LAYER_COST,
    OK,
    POWER_MODULES,
    TOTALS,
)

log = logging.getLogger(__name__)

CHUNK = 256
"""Networks that one core takes at a time."""

MOST_KEPT = 2**21
"""Values of scratch that a thread keeps, at most: 16 MiB. A larger network's are freed after it."""

PATIENCE_S = 3.0
"""Machine code from the disk is there sooner."""


UNLIMITED = 2**62
"""More work than any network is."""

Checkpoint = Callable[[], None]
"""Called between steps of long work, which it ends by raising if nobody waits for the result any more."""


def go_on() -> None:
    """Checkpoint of work that is always waited for."""


class Scratch(threading.local):
    """Memory of a thread that one call after the other works in."""

    def __init__(self) -> None:
        self.finish = np.empty(2**15)
        self.inputs = np.empty(2**12, np.int64)
        self.one = np.zeros(1, np.int64), np.zeros((1, 3), np.int64), np.zeros(1, TOTALS)  # end, image, total
        self._grow(64)

    def _grow(self, layers: int) -> None:
        self.costs = np.zeros(layers, LAYER_COST)
        self.latency = np.zeros((layers, len(LATENCY_MODULES)))
        self.power = np.zeros((layers, len(POWER_MODULES)))
        self.matrix = np.zeros((layers, COLUMNS), np.int64)
        self.layers = self.matrix.ravel().view(LAYER)

    def hold(self, layers: int, inputs: int = 0) -> None:
        """Have room for a network of so many layers, and so many inputs."""
        if layers > len(self.costs):
            self._grow(layers)
        if inputs > len(self.inputs):
            self.inputs = np.empty(inputs, np.int64)


SCRATCH = Scratch()
"""Of the calling thread; after `run` it holds what became of each layer of the last network."""

_TOTALS = TOTALS.names or ()
_NO_BYTES, _NO_NUMBERS = np.frombuffer(b"", np.uint8), np.empty(0, np.int64)  # both as in `run_messages`


def run(networks: Packed, chip: PackedChip, checkpoint: Checkpoint = go_on) -> Records:
    """Cost networks one after the other, in this thread, without Python's lock.

    Returns
    -------
    (n,) TOTALS
    """
    if len(networks.layers) > len(SCRATCH.costs):  # the longest network may need more room
        SCRATCH.hold(int(np.diff(networks.starts).max()))
    totals = np.zeros(len(networks), TOTALS)
    _run(
        (_NO_BYTES, _NO_NUMBERS, networks.images, networks.starts, networks.layers, SCRATCH.matrix,
         networks.input_starts, networks.inputs), totals, chip, UNLIMITED, checkpoint,
    )  # fmt: skip
    return totals


def run_messages(
    bodies: Sequence[bytes], layers: int, chip: PackedChip, most_work: int = UNLIMITED,
    checkpoint: Checkpoint = go_on,
) -> list[dict[str, Any] | None]:  # fmt: skip
    """Cost networks as they travel (`services.hw_oracle.compiled.wire`), of at most `layers` layers each.

    Each of more than `most_work` (`services.hw_oracle.compiled.schedule`) is left to the reference.

    Returns
    -------
    list of dict
        Of each the fields of TOTALS, or None if the reference has to say more.
    """
    SCRATCH.hold(layers, max(map(len, bodies), default=0))
    if len(bodies) == 1:  # the common case takes no memory: it would cost more than the kernel
        data, ends, images, totals = np.frombuffer(bodies[0], np.uint8), *SCRATCH.one
        ends[0], images[:] = len(bodies[0]), 0
    else:
        data = np.frombuffer(b"".join(bodies), np.uint8)
        ends = np.array([*accumulate(map(len, bodies))], np.int64)
        images, totals = np.zeros((len(bodies), 3), np.int64), np.zeros(len(bodies), TOTALS)
    _run(
        (data, ends, images, _NO_NUMBERS, SCRATCH.layers, SCRATCH.matrix, _NO_NUMBERS, SCRATCH.inputs),
        totals, chip, most_work, checkpoint,
    )  # fmt: skip
    named = (dict(zip(_TOTALS, values, strict=True)) for values in totals.tolist())
    return [total if total["status"] == OK else None for total in named]


def _run(
    networks: tuple[Records, ...], totals: Records, chip: PackedChip, most_work: int, checkpoint: Checkpoint
) -> None:
    """Fill in the totals of networks, given in the one way or the other of the kernel."""
    done = 0
    while True:
        arguments = (
            *networks, SCRATCH.costs, SCRATCH.latency, SCRATCH.power, SCRATCH.finish, chip.record, chip.cells,
            chip.sram, totals, done, most_work,
        )  # fmt: skip
        if _compiled.is_set():
            room, done = kernel.cost_networks(*arguments)
        else:
            with _told_while_compiling():
                room, done = kernel.cost_networks(*arguments)
        if len(SCRATCH.finish) < room <= MOST_KEPT:
            SCRATCH.finish = np.empty(room)
        if done == len(totals):
            return
        checkpoint()


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


_compiled, _told = threading.Event(), threading.Event()


@contextmanager
def _told_while_compiling() -> Iterator[None]:
    """Say so where the first call takes long: the machine code is made, once for a machine and version."""
    timer = threading.Timer(PATIENCE_S, _tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _compiled.set()


def _tell() -> None:
    if not _told.is_set():
        _told.set()
        log.warning("imcnas: compiling the chip model for this machine; it is kept for the next start")
