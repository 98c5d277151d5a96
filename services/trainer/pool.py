"""Trainings on Ray: one long-lived actor a slot, on this machine or on a cluster.

A training decides its own random draws, so an evaluation whose actor dies is repeated on another one,
with the same result.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Generator
from importlib.metadata import version
from typing import Any, Literal, Unpack

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from services.common.errors import ImcnasError, InvalidRequest, TrainingFailed, violation
from services.trainer.actor import Actor, SlotSize
from services.trainer.crew import Crew, addresses
from services.trainer.data import Dataset
from services.trainer.evaluator import Evaluator, Options
from services.trainer.jobs import Item, Job, OutOfMemory, WorkerLost
from services.trainer.ray_connect import connect
from services.trainer.types import NodeInfo

log = logging.getLogger(__name__)

STOP_S = 20.0
"""How long a worker may take to stop a job before it is killed."""

DRAIN_S = 30.0
"""How long `close` waits for callers to leave after their actors were killed."""


class RayTrainer(Evaluator):
    """Evaluator with one Ray actor a slot.

    A Ray that this process already uses is used and left running; otherwise one is started here, or
    joined at `address`, and left by `close`.

    Parameters
    ----------
    slots : int or "auto"
        Actors, so trainings at once. ``auto``: as many as the cluster has room for, whatever joins or leaves.
    address : str, optional
        Cluster to join, such as ``auto``; None starts a Ray on this machine.
    threads : int
        CPUs of a slot, one thread each.
    gpus : float
        GPUs of a slot: 1, a share of one, or 0 to train on the CPU.
    start_timeout_s : float
        How long the start may take; a cluster that must grow first needs minutes. Later on, how long
        callers wait while there is no actor at all.
    **options
        As of Evaluator.

    Raises
    ------
    InvalidRequest
        Slots, threads or GPUs out of range.
    Unavailable
        Ray cannot be started or joined, has no room for the actors, or is of another version.
    """

    def __init__(
        self,
        slots: int | Literal["auto"],
        address: str | None = None,
        *,
        threads: int = 1,
        gpus: float = 0.0,
        start_timeout_s: float = 120.0,
        **options: Unpack[Options],
    ) -> None:
        wrong = [
            violation(name, value, wanted)
            for name, value, wanted, right in (
                (
                    "slots",
                    slots,
                    "1 or more, or auto",
                    slots == "auto" or (isinstance(slots, int) and slots >= 1),
                ),
                ("threads", threads, "1 or more", threads >= 1),
                ("gpus", gpus, "0 <= value <= 1", 0 <= gpus <= 1),
            )
            if not right
        ]
        if wrong:
            raise InvalidRequest.of(*wrong)
        size = SlotSize(threads=threads, gpus=gpus)
        super().__init__(**options)
        self.device, self.threads = "cuda" if gpus else "cpu", threads
        self._resident: dict[str, Any] = {}
        self._resident_lock = threading.Lock()
        self._crew = Crew(self._slots, slots, size, start_timeout_s)
        self._owns_ray = not ray.is_initialized()
        try:
            if self._owns_ray:
                connect(address, None if slots == "auto" else slots * threads)
            self._crew.start(grows=bool(address) or not self._owns_ray)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill the actors, wait for the callers to leave, leave Ray if it was started or joined here."""
        super().close()
        self._crew.close()
        self._slots.wait_until_unused(DRAIN_S)
        for worker in self._slots.workers:
            self._slots.remove(worker)
        if self._owns_ray:
            self._owns_ray = False
            ray.shutdown()

    @property
    def restarts(self) -> int:
        """Actors lost and replaced."""
        return self._crew.restarts

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process id of each actor on its node."""
        return tuple(sorted(worker.pid for worker in self._slots.workers))

    def _ray_version(self) -> str:
        return version("ray")

    def _nodes(self) -> tuple[NodeInfo, ...]:
        workers, busy = (Counter(w.node for w in some) for some in (self._slots.workers, self._slots.busy))
        return tuple(
            NodeInfo(name=address, devices=self.device, slots=workers[node], busy_slots=busy[node])
            for node, address in addresses().items()
            if workers[node]
        )

    def _run(self, worker: Actor, job: Job, dataset: Dataset) -> Generator[Item]:
        try:
            ray.get(worker.handle.place.remote())
        except RayError as error:  # it died while it had nothing to do
            self._crew.lose(worker, error)
            raise WorkerLost(blames_job=False) from error
        worker.job = job.name
        stream = None
        ended = False
        try:
            stream = worker.handle.run.remote(job, dataset.info.fingerprint, [self._put(dataset)])
            for ref in stream:
                yield ray.get(ref)
            ended = True
        except RayTaskError as error:  # the training raised; its actor is well
            ended = True
            if isinstance(error.cause, OutOfMemory):
                self._crew.replace(worker)  # what it holds on to is no use to the next one
            if isinstance(error.cause, ImcnasError):
                raise error.cause from None
            log.exception("%s failed", job)
            cause = type(error.cause or error).__name__
            raise TrainingFailed(f"{job} failed: {cause}") from error
        except RayError as error:  # the actor is gone, or its node
            ended = True
            raise self._lost(worker, error) from error
        finally:
            if not ended and stream is not None:  # the caller gave up
                self._interrupt(worker, job.name)
                self._await_end(worker, stream)
            worker.job = ""

    def _interrupt(self, worker: Actor, job: str) -> None:
        worker.handle.stop.remote(job)
        timer = threading.Timer(STOP_S, self._kill_if_busy, (worker, job))
        timer.daemon = True
        timer.start()

    def _kill_if_busy(self, worker: Actor, job: str) -> None:
        """Kill a worker that was asked to stop a job and has not: it sits in one long computation."""
        if worker.job == job:
            worker.kill()

    def _await_end(self, worker: Actor, stream: Any) -> None:
        """Wait until a job that was interrupted has ended, so that the next one finds its worker free."""
        try:
            for ref in stream:
                ray.get(ref)
        except RayTaskError:
            pass
        except RayError as error:
            self._lost(worker, error)

    def _lost(self, worker: Actor, error: RayError) -> WorkerLost:
        """Have a worker replaced that was lost with its job."""
        alone = self._crew.lose(worker, error)
        out_of_memory = isinstance(error, OutOfMemoryError)
        return WorkerLost(blames_job=alone, out_of_memory=out_of_memory, took_machine=not alone)

    def _put(self, dataset: Dataset) -> Any:
        """Refer to a data set in the object store, put there once."""
        fingerprint = dataset.info.fingerprint
        with self._resident_lock:
            if fingerprint not in self._resident:
                self._resident[fingerprint] = ray.put(dataset)
            return self._resident[fingerprint]
