"""Trainings on Ray: one long-lived actor a slot, on this machine or on a cluster.

An actor imports torch once and maps data sets from the object store, so an evaluation costs
milliseconds beside its training. A training decides its own random draws, so an actor that dies is
replaced and the evaluation repeated with the same result. The only file that imports ray; torch is
imported in the actors alone.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Unpack

import ray
from ray._private import ray_constants
from ray.exceptions import RayError, RayTaskError

from services.common.errors import (
    Cancelled,
    ImcnasError,
    InvalidRequest,
    TrainingFailed,
    Unavailable,
    violation,
)
from services.trainer.data import Dataset
from services.trainer.evaluator import Evaluator, Options
from services.trainer.jobs import Item, Job, WorkerLost
from services.trainer.types import NodeInfo

log = logging.getLogger(__name__)

OBJECT_STORE_BYTES = 256 * 2**20
"""Shared memory of a local Ray: it holds data sets and nothing else."""

STOP_S = 20.0
"""How long a worker may take to stop a job before it is killed."""

DRAIN_S = 30.0
"""How long `close` waits for callers to leave after their actors were killed."""


class RayTrainer(Evaluator):
    """Evaluator with one Ray actor a slot, each on one CPU.

    A Ray that this process already uses is used and left running; otherwise one is started here, or
    joined at `address`, and left by `close`.

    Parameters
    ----------
    slots : int
        Actors, so trainings at once.
    address : str, optional
        Cluster to join, such as ``auto``; None starts a Ray on this machine.
    start_timeout_s : float
        How long an actor may take to be ready; a cluster that must grow first needs minutes.
    **options
        As of Evaluator.

    Attributes
    ----------
    restarts : int
        Actors lost and replaced.

    Raises
    ------
    Unavailable
        Ray cannot be started or joined, or has no room for the actors.
    """

    def __init__(
        self,
        slots: int,
        address: str | None = None,
        *,
        start_timeout_s: float = 120.0,
        **options: Unpack[Options],
    ) -> None:
        if slots < 1:
            raise InvalidRequest.of(violation("slots", slots, "1 or more"))
        super().__init__(**options)
        self.restarts = 0
        self._wanted_slots = slots
        self._start_timeout_s = start_timeout_s
        self._resident: dict[str, Any] = {}
        self._resident_lock = threading.Lock()
        self._owns_ray = not ray.is_initialized()
        try:
            if self._owns_ray:
                _connect(address, slots)
            workers = [_Worker.spawn() for _ in range(slots)]
            for worker in workers:
                self._slots.add(worker)
            for worker in workers:
                self._await_ready(worker)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill the actors, wait for the callers to leave, leave Ray if it was started or joined here."""
        super().close()
        for worker in self._slots.workers:
            ray.kill(worker.actor)
        self._slots.wait_until_unused(DRAIN_S)
        for worker in self._slots.workers:
            self._slots.remove(worker)
        if self._owns_ray:
            self._owns_ray = False
            ray.shutdown()

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
            for node, address in self._addresses().items()
            if workers[node]
        )

    def _addresses(self, *, alive: bool = False) -> dict[str, str]:
        """Address of each node of the cluster by its id."""
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        return {n["NodeID"]: n["NodeManagerAddress"] for n in nodes if n["Alive"] or not alive}

    def _run(self, worker: _Worker, job: Job, dataset: Dataset) -> Generator[Item]:
        try:
            ray.get(worker.actor.place.remote())
        except RayError as error:  # it died while it had nothing to do
            self._lost(worker)
            raise WorkerLost(blames_job=False) from error
        worker.job = job.name
        stream = None
        ended = False
        try:
            stream = worker.actor.run.remote(job, dataset.info.fingerprint, [self._put(dataset)])
            for ref in stream:
                yield ray.get(ref)
            ended = True
        except RayTaskError as error:  # the training raised; its actor is well
            ended = True
            if isinstance(error.cause, ImcnasError):
                raise error.cause from None
            log.exception("%s failed", job)
            cause = type(error.cause or error).__name__
            raise TrainingFailed(f"{job} failed: {cause}") from error
        except RayError as error:  # the actor is gone, or its node
            ended = True
            raise self._lost(worker) from error
        finally:
            if not ended and stream is not None:  # the caller gave up
                self._interrupt(worker, job.name)
                self._await_end(worker, stream)
            worker.job = ""

    def _interrupt(self, worker: _Worker, job: str) -> None:
        worker.actor.stop.remote(job)
        timer = threading.Timer(STOP_S, self._kill_if_busy, (worker, job))
        timer.daemon = True
        timer.start()

    def _kill_if_busy(self, worker: _Worker, job: str) -> None:
        """Kill a worker that was asked to stop a job and has not: it sits in one long computation."""
        if worker.job == job:
            ray.kill(worker.actor)

    def _await_end(self, worker: _Worker, stream: Any) -> None:
        """Wait until a job that was interrupted has ended, so that the next one finds its worker free."""
        try:
            for ref in stream:
                ray.get(ref)
        except RayTaskError:
            pass
        except RayError:
            with suppress(Cancelled, Unavailable):
                self._lost(worker)

    def _lost(self, worker: _Worker) -> WorkerLost:
        """Put another worker in the place of one that is gone."""
        node = self._addresses(alive=True).get(worker.node)
        self._slots.remove(worker)
        if not self._closed:
            self.restarts += 1
            another = _Worker.spawn()
            self._slots.add(another)
            self._await_ready(another)
        return WorkerLost(blames_job=node is not None)

    def _await_ready(self, worker: _Worker) -> None:
        """Wait until a worker can train."""
        try:
            worker.pid, worker.node = ray.get(worker.actor.place.remote(), timeout=self._start_timeout_s)
        except RayError as error:
            ray.kill(worker.actor)  # it keeps its slot, so that the next caller tries again
            if self._closed:
                raise Cancelled("the trainer was closed before this evaluation ended") from error
            raise Unavailable(
                f"no worker was ready within {self._start_timeout_s:g} s ({type(error).__name__}); "
                f"the cluster needs {self._wanted_slots} free CPUs"
            ) from error

    def _put(self, dataset: Dataset) -> Any:
        """Refer to a data set in the object store, put there once."""
        fingerprint = dataset.info.fingerprint
        with self._resident_lock:
            if fingerprint not in self._resident:
                self._resident[fingerprint] = ray.put(dataset)
            return self._resident[fingerprint]


@dataclass(slots=True, eq=False)
class _Worker:
    """Handle of an actor: its process and node once it is ready, and the job it does."""

    actor: Any
    pid: int = 0
    node: str = ""
    job: str = ""

    @classmethod
    def spawn(cls) -> _Worker:
        # Two calls at once: a job, and the one that stops it.
        return cls(ray.remote(TrainingActor).options(num_cpus=1, max_concurrency=2).remote())


class TrainingActor:
    """What runs in a worker process."""

    def __init__(self) -> None:
        # Two trainings of one thread each beat one of two threads, by far on a busy machine.
        os.environ["OMP_NUM_THREADS"] = "1"
        import torch

        from services.trainer.fit import warm_up
        from services.trainer.worker import Worker

        torch.set_num_threads(1)
        warm_up()
        self._worker = Worker()

    def place(self) -> tuple[int, str]:
        """Tell that the actor is ready, its process and its node."""
        return os.getpid(), ray.get_runtime_context().get_node_id()

    def run(self, job: Job, fingerprint: str, data: list[Any]) -> Iterator[Item]:
        """Do a job; Ray streams what it gives. `data` holds the reference of the data set, read once."""
        if not self._worker.holds(fingerprint):
            self._worker.attach(ray.get(data[0]))
        yield from self._worker.run(job, fingerprint)

    def stop(self, job: str) -> None:
        """Make a job end soon."""
        self._worker.stop(job)


def _connect(address: str | None, slots: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of a later default
    local: dict[str, Any] = {
        "num_cpus": slots, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False,
    }  # fmt: skip
    try:
        if address and (host_port := re.fullmatch(r"(.+):([0-9]{1,5})", address)):
            # Ray itself would try for more than a minute, and log all of it.
            socket.create_connection((host_port[1], int(host_port[2])), timeout=5.0).close()
        # A node of address 127.0.0.1 listens there alone; Ray replaces that address by an outer one where its
        # clusters are enabled, which a Ray of our own needs not.
        reachable = _replaced(
            ray_constants, "ENABLE_RAY_CLUSTER", bool(address) and ray_constants.ENABLE_RAY_CLUSTER
        )
        with _signals_later(), reachable:
            ray.init(
                address=address or "local",
                log_to_driver=False,  # a terminal may show progress: worker output belongs in Ray's logs
                logging_level=logging.ERROR,
                **({} if address else local),
            )
    except (RayError, RuntimeError, ConnectionError, ValueError, OSError) as error:
        what = f"join Ray at {address}" if address else "start Ray on this machine"
        raise Unavailable(f"cannot {what}: {error}") from error
    # A lost worker is our business, not a line on stdout: no option of Ray's says so.
    ray._private.worker._worker_logs_enabled = False


@contextmanager
def _signals_later() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back meanwhile: a Ray that is half started leaves processes behind."""
    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in numbers}
    if before[signal.SIGTERM] is signal.SIG_DFL:
        before[signal.SIGTERM] = _exit  # the default would leave processes of Ray's behind
    try:
        # Ray's own handler would end this process within `ray.init`.
        with _replaced(ray._private.utils, "set_sigterm_handler", lambda handler: None):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for sign in came:
            signal.raise_signal(sign)


@contextmanager
def _replaced(module: Any, name: str, value: object) -> Iterator[None]:
    """Give `module` another attribute meanwhile."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _exit(number: int, frame: object) -> None:
    sys.exit(128 + number)
