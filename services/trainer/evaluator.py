"""What every trainer does, wherever it trains: waiting, request ids, the cache, artifacts, lost workers.

Callers may be many threads; `evaluate` blocks until its result is there. As many trainings run at once as
there are slots, the other callers wait.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, TypedDict, Unpack
from uuid import uuid4

import services
from services.common.closing import Closing
from services.common.errors import Cancelled, EvaluationCancelled, TrainingFailed, Unavailable
from services.trainer.artifacts import Artifacts
from services.trainer.cache import ResultCache
from services.trainer.callers import Caller, OnEpoch, OnQueued
from services.trainer.data import Dataset, Registry
from services.trainer.identity import Identity, identify
from services.trainer.jobs import Item, TrainJob, WorkerLost
from services.trainer.requests import Evaluations
from services.trainer.slots import Slots
from services.trainer.types import (
    AccuracyReport,
    Checkpoint,
    DatasetInfo,
    EpochReport,
    EvaluationRequest,
    NodeInfo,
    TrainerInfo,
    Weights,
)

QUEUE_LIMIT = 1024
ATTEMPTS = 3
"""How often a job is started when it may be what breaks its workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One training that ended, for metrics; answers from memory or cache are none.

    Parameters
    ----------
    outcome : {"complete", "failed", "cancelled"}
    wall_s : float
        From the moment a slot was free.
    images : int
        Training images passed, over all epochs that were told.
    """

    outcome: Literal["complete", "failed", "cancelled"]
    wall_s: float
    images: int


class Options(TypedDict, total=False):
    """What every evaluator can be given; see Evaluator."""

    datasets: Registry | None
    artifacts: Artifacts | None
    cache: ResultCache | None
    queue_limit: int
    timeout_s: float | None
    on_end: Callable[[Ended], None]
    on_cached: Callable[[bool], None]


class Evaluator(Closing, ABC):
    """Trains candidates and reports their accuracy.

    Parameters
    ----------
    datasets : Registry, optional
        What can be trained on; without it, what needs no files.
    artifacts : Artifacts, optional
        Where checkpoints and weights are kept; without it, in a temporary folder. Closed with the evaluator.
    cache : ResultCache, optional
        Results of earlier evaluations. Closed with the evaluator.
    queue_limit : int
        Callers that may wait for a slot; 0 is no limit.
    timeout_s : float, optional
        Longest that a training may take.
    on_end : callable, optional
        Told of every training that ended, in the thread of its caller.
    on_cached : callable, optional
        Told of every look into the cache, whether it had the answer.
    """

    device = "cpu"

    def __init__(self, **options: Unpack[Options]) -> None:
        self._datasets = options.get("datasets") or Registry()
        self._artifacts = options.get("artifacts") or Artifacts()
        self._cache = options.get("cache")
        self._timeout_s = options.get("timeout_s")
        self._on_end: Callable[[Ended], None] = options.get("on_end", _ignore)
        self._on_cached: Callable[[bool], None] = options.get("on_cached", _ignore)
        self._slots: Slots[Any] = Slots(options.get("queue_limit", QUEUE_LIMIT))
        self._evaluations = Evaluations()
        self._closed = False

    @property
    def slots(self) -> int:
        """Trainings that can run at once."""
        return self._slots.size

    @property
    def busy_slots(self) -> int:
        """Slots that train now."""
        return len(self._slots.busy)

    @property
    def queue_length(self) -> int:
        """Callers that wait for a slot."""
        return self._slots.queue_length

    def evaluate(
        self,
        request: EvaluationRequest,
        on_epoch: OnEpoch | None = None,
        on_queued: OnQueued | None = None,
    ) -> AccuracyReport:
        """Train a candidate and give its accuracy.

        Parameters
        ----------
        request : EvaluationRequest
        on_epoch : callable, optional
            Called in this thread after each epoch, once an epoch. What it raises stops the training
            and is raised here.
        on_queued : callable, optional
            Called in this thread while the request waits for a slot, whenever its place changes.

        Raises
        ------
        InvalidCandidate, InvalidRequest, NotFound
            The request is wrong.
        InvalidDataset
            A file of the data set is damaged.
        TrainingFailed
            This candidate diverged, took too long or broke its workers; others go on.
        EvaluationCancelled
            `cancel` was called with its id.
        Cancelled
            The trainer was closed meanwhile.
        Overloaded
            As many wait as may.
        Unavailable
            The trainer is closed, or has no worker to train on.
        """
        # What is wrong is refused before anything waits.
        identity = identify(request, self._datasets.load(request.dataset).info, self.device)
        if self._closed:
            raise Unavailable("the trainer is closed")
        caller = Caller(on_epoch, on_queued)
        content = (identity, request.keep_weights, request.judge_test)
        return self._evaluations.run(
            request, content, caller, lambda tell: self._evaluate(request, identity, caller, tell)
        )

    def cancel(self, request_id: str) -> bool:
        """Stop an evaluation: EvaluationCancelled for whoever waits for it; False if nobody does."""
        return self._evaluations.cancel(
            request_id, EvaluationCancelled(f"evaluation {request_id!r} was cancelled")
        )

    def weights(self, request: EvaluationRequest, on_epoch: OnEpoch | None = None) -> bytes:
        """Give what a candidate has learnt, as safetensors; trained first if it was not kept.

        Raises
        ------
        Unavailable
            They could not be kept: the artifact folder is full or cannot be written to.
        """
        wanted = EvaluationRequest(
            candidate=request.candidate, dataset=request.dataset, recipe=request.recipe, seed=request.seed,
            budget_epochs=request.budget_epochs, keep_weights=True,
        )  # fmt: skip
        identity = identify(wanted, self._datasets.load(wanted.dataset).info, self.device)
        data = self._artifacts.weights(identity.evaluation)
        if data is None:
            self.evaluate(wanted, on_epoch)
            data = self._artifacts.weights(identity.evaluation)
        if data is None:
            raise Unavailable(f"the weights could not be kept in {self._artifacts.folder}")
        return data

    def dataset(self, name: str) -> DatasetInfo:
        """Describe a data set; NotFound if there is none of that name, InvalidDataset if it is damaged."""
        return self._datasets.load(name).info

    def info(self) -> TrainerInfo:
        """Say what this trainer is."""
        return TrainerInfo(
            version=services.__version__,
            torch_version=version("torch"),
            ray_version=self._ray_version(),
            device=self.device,
            slots=self.slots,
            busy_slots=self.busy_slots,
            queue_length=self.queue_length,
            queue_limit=self._slots.queue_limit,
            datasets=self._datasets.names(),
            nodes=self._nodes(),
        )

    def close(self) -> None:
        """Stop: trainings end as soon as they can, every waiting caller gets Cancelled. Twice is once."""
        self._closed = True
        self._evaluations.stop(Cancelled("the trainer was closed before this evaluation ended"))
        if self._cache is not None:
            self._cache.close()
        self._artifacts.close()

    @abstractmethod
    def _run(self, worker: Any, job: TrainJob, dataset: Dataset) -> Generator[Item]:
        """Do a job on a worker, which is free again once this is closed; ends with the job's result.

        Raises
        ------
        WorkerLost
            The job is to be given to another worker.
        """

    @abstractmethod
    def _interrupt(self, worker: Any, job: str) -> None:
        """Make the job of that name end soon with Cancelled; from any thread, and without waiting."""

    @abstractmethod
    def _nodes(self) -> tuple[NodeInfo, ...]:
        """Say where the slots are."""

    def _ray_version(self) -> str:
        return ""

    def _evaluate(
        self, request: EvaluationRequest, identity: Identity, caller: Caller, tell: OnEpoch
    ) -> AccuracyReport:
        report = self._cached(request, identity)
        if report is not None:
            for epoch in report.epochs:
                tell(epoch)
            return report
        report = self._train(request, identity, caller, tell)
        if self._cache is not None:
            self._cache.put(identity, request, report)
        return report

    def _cached(self, request: EvaluationRequest, identity: Identity) -> AccuracyReport | None:
        if self._cache is None:
            return None
        report = self._cache.find(identity, request)
        if request.keep_weights and self._artifacts.weights(identity.evaluation) is None:
            report = None
        self._on_cached(report is not None)
        return report

    def _train(
        self, request: EvaluationRequest, identity: Identity, caller: Caller, tell: OnEpoch
    ) -> AccuracyReport:
        """Train on one worker after the other until none is lost."""
        outcome: Literal["complete", "failed", "cancelled"] = "cancelled"
        begun: float | None = None
        epochs = broken = 0

        def hear(epoch: EpochReport) -> None:
            nonlocal epochs
            epochs = max(epochs, epoch.epoch)
            tell(epoch)

        try:
            with self._limited(request, caller) as begin_to_count:
                while broken < ATTEMPTS:
                    with self._slots.take(caller, again=begun is not None) as worker:
                        if begun is None:
                            begun = time.monotonic()
                            begin_to_count()
                        try:
                            report = self._train_on(worker, request, identity, caller, hear)
                        except WorkerLost as lost:
                            broken += lost.blames_job
                        else:
                            epochs -= report.resumed_epochs
                            outcome = "complete"
                            return report
                raise TrainingFailed(
                    f"training of {request.candidate} broke {ATTEMPTS} workers; "
                    "it may need more memory than they have"
                )
        except EvaluationCancelled:
            raise
        except TrainingFailed:
            outcome = "failed"
            raise
        finally:
            if begun is not None:
                images = epochs * self._datasets.load(request.dataset).info.train_images
                self._on_end(Ended(outcome=outcome, wall_s=time.monotonic() - begun, images=images))

    def _train_on(
        self, worker: Any, request: EvaluationRequest, identity: Identity, caller: Caller, hear: OnEpoch
    ) -> AccuracyReport:
        resume = self._artifacts.checkpoint(identity.trunk, request.trunk_epochs)
        job = TrainJob(name=uuid4().hex, request=request, resume=resume)
        dataset = self._datasets.load(request.dataset)
        try:
            with (
                caller.stopping(lambda: self._interrupt(worker, job.name)),
                closing(self._run(worker, job, dataset)) as items,
            ):
                for item in items:
                    match item:
                        case EpochReport():
                            hear(item)
                        case Checkpoint():
                            self._artifacts.put_checkpoint(identity.trunk, item.epoch, item.data)
                        case Weights():
                            self._artifacts.put_weights(identity.evaluation, item.data)
                        case AccuracyReport():
                            return item
        except (Cancelled, WorkerLost):
            caller.check()  # why it was cancelled, or its worker killed
            raise
        raise AssertionError("a training ends with its result")

    @contextmanager
    def _limited(self, request: EvaluationRequest, caller: Caller) -> Iterator[Callable[[], None]]:
        """Stop the caller when its training takes too long, from when what this gives is called."""
        if self._timeout_s is None:
            yield lambda: None
            return
        text = f"training of {request.candidate} took more than the {self._timeout_s:g} s that it may take"
        timer = threading.Timer(self._timeout_s, caller.stop, (TrainingFailed(text),))
        timer.daemon = True
        try:
            yield timer.start
        finally:
            timer.cancel()


def _ignore(_: object) -> None:
    pass
