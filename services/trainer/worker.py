"""What trains in one process, in this one or in an actor: a device, threads, data sets attached once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import torch

from services.trainer.data import Dataset
from services.trainer.failing import failing_alone
from services.trainer.fit import train
from services.trainer.jobs import Item, Job, TrainJob
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
        with failing_alone(f"attaching {dataset.info.name}"):
            self._resident[dataset.info.fingerprint] = Resident(dataset, self._device)

    def run(self, job: Job, fingerprint: str) -> Generator[Item]:
        """Do a job on an attached data set; ends with its result.

        Raises
        ------
        OutOfMemory
            There was no memory for it.
        TrainingFailed
            The loss is no longer finite, or torch failed otherwise.
        Cancelled
            `stop` was called meanwhile.
        """
        data = self._resident[fingerprint]

        def stop() -> bool:
            return self._stopped == job.name

        with _threads(self._threads), failing_alone(str(job)):
            if isinstance(job, TrainJob):
                yield from train(job.request, data, resume=job.resume, stop=stop)
            else:
                # numba and scipy: 60 MB, which workers that only train do without
                from services.trainer.chips import judge_on_chips

                yield from judge_on_chips(job.request, job.weights, data.dataset, stop)

    def stop(self, job: str) -> None:
        """End the job of that name within a step of training or a chip, or as it begins."""
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
