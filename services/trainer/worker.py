"""What trains in one process, in this one or in an actor: a device, threads, data sets attached once."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import torch

from services.common.errors import TrainingFailed
from services.trainer.data import Dataset
from services.trainer.fit import train
from services.trainer.jobs import Item, Job, OutOfMemory, TrainJob
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

        with _threads(self._threads), _told_of_memory(job):
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


@contextmanager
def _told_of_memory(job: Job) -> Iterator[None]:
    """Tell what failed for want of memory from what failed otherwise."""
    try:
        yield
    except (TrainingFailed, RuntimeError, MemoryError) as error:
        if _lacked_memory(error) or _lacked_memory(error.__cause__):
            raise OutOfMemory.of_job(job) from error
        raise


def _lacked_memory(error: BaseException | None) -> bool:
    # On the CPU torch raises a plain RuntimeError: "DefaultCPUAllocator: can't allocate memory".
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )
