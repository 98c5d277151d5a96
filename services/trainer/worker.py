"""What trains in one process, in this one or in an actor: a device, threads, data sets attached once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import torch

from services.trainer.data import Dataset
from services.trainer.fit import train
from services.trainer.jobs import Item, TrainJob
from services.trainer.resident import Resident

MAX_RESIDENT = 4
"""Data sets attached at once; the one attached first goes first."""


class Worker:
    """Does one job at a time; `stop` may come from another thread.

    Parameters
    ----------
    device : str
        A torch device.
    threads : int
        Of the CPU; a training repeats bit for bit on one.
    """

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        self._device, self._threads = device, threads
        self._resident: dict[str, Resident] = {}
        self._stopped = ""

    def holds(self, fingerprint: str) -> bool:
        """Whether a data set is attached."""
        return fingerprint in self._resident

    def attach(self, dataset: Dataset) -> None:
        """Bring a data set to the device."""
        if len(self._resident) >= MAX_RESIDENT:
            del self._resident[next(iter(self._resident))]
        self._resident[dataset.info.fingerprint] = Resident(dataset, self._device)

    def run(self, job: TrainJob, fingerprint: str) -> Generator[Item]:
        """Do a job on an attached data set; ends with its result.

        Raises
        ------
        TrainingFailed
            The loss is no longer finite, or torch failed.
        Cancelled
            `stop` was called meanwhile.
        """
        with _threads(self._threads):
            yield from train(
                job.request,
                self._resident[fingerprint],
                resume=job.resume,
                stop=lambda: self._stopped == job.name,
            )

    def stop(self, job: str) -> None:
        """End the job of that name within a step of training, or as it begins."""
        self._stopped = job


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute on so many threads meanwhile: results follow their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
