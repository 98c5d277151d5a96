"""What runs in a worker process of Ray, one actor a slot, and its handle in the trainer.

An actor imports torch once and maps data sets from the object store, so an evaluation costs
milliseconds beside its training. torch is imported in the actors alone.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import ray

import services
from services.trainer.jobs import Item, Job

CONTEXT_FRAC = 0.1
"""Share of a divided GPU's memory that is left to CUDA's contexts, which torch's limit does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSize:
    """What one slot takes of its node.

    Parameters
    ----------
    threads : int
        CPUs, one thread each.
    gpus : float
        GPUs: 1, a share of one, or 0 to train on the CPU.
    """

    threads: int = 1
    gpus: float = 0.0

    def room(self, resources: Mapping[str, float]) -> int:
        """Count the slots that an empty node of these resources has room for."""
        by_cpu = int(resources.get("CPU", 0)) // self.threads
        if not self.gpus:
            return by_cpu
        a_gpu = int(1 / self.gpus + 1e-9)  # 1 / (1 / 3) may be 2.999...; a slot is never on two
        return min(by_cpu, int(resources.get("GPU", 0)) * a_gpu)

    def __str__(self) -> str:
        cpus = f"{self.threads} CPU{'s' if self.threads > 1 else ''}"
        return f"{cpus} and {self.gpus:g} GPU" if self.gpus else cpus


class TrainingActor:
    """What runs in a worker process.

    Parameters
    ----------
    size : SlotSize
        What of the node it may use.
    """

    def __init__(self, size: SlotSize) -> None:
        # Two trainings of one thread each beat one of two threads, by far on a busy machine.
        os.environ["OMP_NUM_THREADS"] = str(size.threads)
        import torch

        from services.trainer.fit import warm_up
        from services.trainer.worker import Worker

        torch.set_num_threads(size.threads)
        if size.gpus:
            if not torch.cuda.is_available():
                raise RuntimeError(f"torch {torch.__version__} finds no GPU that it can use")
            if size.gpus < 1:
                torch.cuda.set_per_process_memory_fraction(size.gpus * (1 - CONTEXT_FRAC))
        warm_up()
        self._worker = Worker("cuda" if size.gpus else "cpu", size.threads)

    def place(self) -> tuple[int, str, dict[str, str]]:
        """Tell that the actor is ready: its process, its node and its versions."""
        return os.getpid(), ray.get_runtime_context().get_node_id(), versions()

    def run(self, job: Job, fingerprint: str, data: list[Any]) -> Iterator[Item]:
        """Do a job; Ray streams what it gives. `data` holds the reference of the data set, read once."""
        if not self._worker.holds(fingerprint):
            self._worker.attach(ray.get(data[0]))
        # Ray sends figures into a generator, and `yield from` would pass them on to ours.
        for item in self._worker.run(job, fingerprint):  # noqa: UP028
            yield item

    def stop(self, job: str) -> None:
        """Make a job end soon."""
        self._worker.stop(job)


@dataclass(slots=True, eq=False)
class Actor:
    """Handle of an actor: its process and node once it is ready, and the job it does."""

    handle: Any
    ready: Any
    pid: int = 0
    node: str = ""
    job: str = ""

    @classmethod
    def spawn(cls, size: SlotSize) -> Actor:
        """Ask Ray for an actor; it waits until a node has room."""
        # Two calls at once: a job, and the one that stops it.
        options = {"num_cpus": size.threads, "num_gpus": size.gpus, "max_concurrency": 2}
        handle: Any = ray.remote(TrainingActor).options(**options).remote(size)
        return cls(handle, handle.place.remote())

    def kill(self) -> None:
        """End its process at once."""
        ray.kill(self.handle)


def versions() -> dict[str, str]:
    """Give the versions of this process that must agree; the build of torch (+cpu, +cu130) may differ."""
    torch, _, _ = version("torch").partition("+")
    return {"Python": platform.python_version(), "imcnas": services.__version__, "torch": torch}
