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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import ray
from ray._private import ray_constants
from ray.exceptions import RayError, RayTaskError

from services.common.errors import ImcnasError, TrainingFailed, Unavailable
from services.trainer.data import Dataset, Registry
from services.trainer.evaluator import Ended, Evaluator
from services.trainer.requests import OnEpoch
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest

log = logging.getLogger(__name__)

OBJECT_STORE_BYTES = 256 * 2**20
"""Shared memory of a local Ray: it holds data sets and nothing else."""

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
    attempts : int
        How often an evaluation is started when its actor dies.
    start_timeout_s : float
        How long an actor may take to be ready; a cluster that must grow first needs minutes.
    on_end, datasets
        As for Evaluator.

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
        attempts: int = 3,
        start_timeout_s: float = 120.0,
        on_end: Callable[[Ended], None] | None = None,
        datasets: Registry | None = None,
    ) -> None:
        super().__init__(slots, on_end, datasets)
        self.restarts = 0
        self._attempts = attempts
        self._start_timeout_s = start_timeout_s
        self._resident: dict[str, Any] = {}
        self._resident_lock = threading.Lock()
        self._owns_ray = not ray.is_initialized()
        self._workers: list[_Worker | None] = [None] * slots
        try:
            if self._owns_ray:
                _connect(address, slots)
            self._workers = [_Worker.spawn() for _ in range(slots)]
            for slot in range(slots):
                self._worker(slot)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill the actors, wait for the callers to leave, leave Ray if it was started or joined here."""
        super().close()
        for slot in range(self.slots):
            self._discard(slot)
        with self._changed:
            self._changed.wait_for(lambda: not self.busy_slots, timeout=DRAIN_S)
        if self._owns_ray:
            self._owns_ray = False
            ray.shutdown()

    @property
    def worker_pids(self) -> tuple[int | None, ...]:
        """Process id of each slot's actor on its node; None while it has none."""
        return tuple(worker.pid if worker else None for worker in self._workers)

    def _ray_version(self) -> str:
        return version("ray")

    def _train(self, slot: int, request: EvaluationRequest, on_epoch: OnEpoch) -> AccuracyReport:
        data = self._put(request.dataset)
        for _ in range(self._attempts):
            worker = self._worker(slot)
            try:
                for ref in worker.actor.train.remote(request, data, self.device):
                    report = ray.get(ref)
                    if isinstance(report, AccuracyReport):
                        return report
                    on_epoch(report)
            except RayTaskError as error:  # the training raised; its actor is well
                if isinstance(error.cause, ImcnasError):
                    raise error.cause from None
                log.exception("training of %s failed", request.candidate)
                cause = type(error.cause or error).__name__
                raise TrainingFailed(f"training of {request.candidate} failed: {cause}") from error
            except RayError:  # the actor is gone, or its node
                self._discard(slot)
                self._check_open()
                self.restarts += 1
            except BaseException:  # the caller gave up: an actor cannot be interrupted otherwise
                self._discard(slot)
                raise
        raise TrainingFailed(
            f"training of {request.candidate} broke {self._attempts} workers; "
            "it may need more memory than they have"
        )

    def _worker(self, slot: int) -> _Worker:
        """Give the slot's worker, ready to train; a new one in place of a lost one."""
        worker = self._workers[slot]
        if worker is None:
            worker = self._workers[slot] = _Worker.spawn()
        if worker.pid is None:
            try:
                self._check_open()  # now that `close` would see the actor
                worker.pid = ray.get(worker.actor.pid.remote(), timeout=self._start_timeout_s)
            except BaseException as error:
                self._discard(slot)
                self._check_open()
                if not isinstance(error, RayError):
                    raise
                raise Unavailable(
                    f"no worker was ready within {self._start_timeout_s:g} s ({type(error).__name__}); "
                    f"the cluster needs {self.slots} free CPUs"
                ) from error
        return worker

    def _discard(self, slot: int) -> None:
        worker, self._workers[slot] = self._workers[slot], None
        if worker is not None:
            ray.kill(worker.actor)

    def _put(self, dataset: str) -> Any:
        """Refer to a data set in the object store, put there once."""
        with self._resident_lock:
            if dataset not in self._resident:
                self._resident[dataset] = ray.put(self._datasets.load(dataset))
            return self._resident[dataset]


@dataclass(slots=True)
class _Worker:
    """Handle of an actor; `pid` is None until it is known to be ready."""

    actor: Any
    pid: int | None = None

    @classmethod
    def spawn(cls) -> _Worker:
        return cls(ray.remote(num_cpus=1)(TrainingActor).remote())


class TrainingActor:
    """What runs in a worker process."""

    def __init__(self) -> None:
        # Two trainings of one thread each beat one of two threads, by far on a busy machine.
        os.environ["OMP_NUM_THREADS"] = "1"
        import torch

        from services.trainer.fit import warm_up

        torch.set_num_threads(1)
        warm_up()

    def pid(self) -> int:
        """Tell that the actor is ready, and its process."""
        return os.getpid()

    def train(
        self, request: EvaluationRequest, dataset: Dataset, device: str
    ) -> Iterator[EpochReport | AccuracyReport]:
        """Run `services.trainer.fit.train` here; Ray streams what it gives."""
        from services.trainer.fit import train

        yield from train(request, dataset, device)


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
