"""What every trainer does, wherever it trains: request ids, the cache, artifacts, what is asked of workers.

Callers may be many threads; `evaluate` blocks until its result is there. As many trainings run at once as
there are slots, the other callers wait.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict, Unpack, cast
from uuid import uuid4

from safetensors import SafetensorError, deserialize

import services
from services.common.errors import Cancelled, EvaluationCancelled, NotPossible, Violation
from services.trainer.analog_types import AnalogReport, ChipDraw, OnChipReport, OnChipRequest
from services.trainer.artifacts import Artifacts
from services.trainer.batch import AHEAD, OnBatchEpoch, Outcome, run_batch
from services.trainer.cache import ResultCache
from services.trainer.callers import Caller, OnDraw, OnEpoch, OnQueued
from services.trainer.data import Registry
from services.trainer.identity import Identity, identify
from services.trainer.jobs import ChipJob, Item, TrainJob
from services.trainer.requests import Evaluations, Judged
from services.trainer.running import Ended, JobRunner
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

log = logging.getLogger(__name__)

QUEUE_LIMIT = 1024


class Options(TypedDict, total=False):
    """What every evaluator can be given; see Evaluator."""

    datasets: Registry | None
    artifacts: Artifacts | None
    cache: ResultCache | None
    queue_limit: int
    timeout_s: float | None
    on_end: Callable[[Ended], None]
    on_cached: Callable[[bool], None]


class Evaluator(JobRunner):
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
    threads = 1

    def __init__(self, **options: Unpack[Options]) -> None:
        limits = options.get("queue_limit", QUEUE_LIMIT), options.get("timeout_s")
        super().__init__(*limits, options.get("on_end", _ignore))
        self._datasets = options.get("datasets") or Registry()
        self._artifacts = options.get("artifacts") or Artifacts()
        self._cache = options.get("cache")
        self._on_cached: Callable[[bool], None] = options.get("on_cached", _ignore)
        self._evaluations = Evaluations()
        self._judged = Judged()

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
        caller = Caller(on_epoch, on_queued)
        with self._evaluations.registered(request, caller):
            return self._ask(request, self._identify(request), caller)

    def cancel(self, request_id: str) -> bool:
        """Stop an evaluation: EvaluationCancelled for whoever waits for it; False if nobody does."""
        return self._evaluations.cancel(
            request_id, EvaluationCancelled(f"evaluation {request_id!r} was cancelled")
        )

    def weights(self, request: EvaluationRequest, on_epoch: OnEpoch | None = None) -> bytes:
        """Give what a candidate has learnt, as safetensors; trained first if it was not kept.

        Raises
        ------
        ImcnasError
            As `evaluate`.
        NotPossible
            They could not be kept: the artifact folder is full or cannot be written to.
        """
        caller = Caller(on_epoch)
        with self._evaluations.registered(request, caller):
            identity = self._identify(request)
            kept = self._weights(identity)
            if kept is None:
                # Without its id, of which a result without weights may be remembered.
                asked = replace(request, request_id="", keep_weights=True, stop_below_frac=None)
                _, kept = self._learn(asked, identity, caller)
            return kept

    def evaluate_on_chip(
        self,
        request: OnChipRequest,
        on_epoch: OnEpoch | None = None,
        on_queued: OnQueued | None = None,
        on_draw: OnDraw | None = None,
    ) -> OnChipReport:
        """Train a candidate, unless its result and weights are kept, and judge it as crossbars compute it.

        Parameters
        ----------
        request : OnChipRequest
        on_epoch, on_queued : callable, optional
            As of `evaluate`.
        on_draw : callable, optional
            Told in this thread of each chip that was judged.

        Raises
        ------
        ImcnasError
            As `evaluate`; `cancel` ends this, too.
        InvalidRequest
            The network does not fit the chip.
        NotPossible
            The weights could not be kept.
        """
        evaluation = replace(request.evaluation, keep_weights=True, stop_below_frac=None)
        caller = Caller(on_epoch, on_queued)

        def hear(item: Item) -> None:
            if isinstance(item, ChipDraw) and on_draw is not None:
                on_draw(item)

        with self._evaluations.registered(evaluation, caller):
            report, weights = self._learn(evaluation, self._identify(evaluation), caller)

            def job() -> ChipJob:
                return ChipJob(name=uuid4().hex, request=request, weights=weights)

            analog = self._judged.get(request)
            if analog is None:
                data = self._datasets.load(evaluation.dataset)
                analog = cast("AnalogReport", self._do(job, data, caller, hear, admitted=True))
                self._judged.put(request, analog)
            else:
                for draw in analog.chips():
                    hear(draw)
        return OnChipReport(accuracy=report, analog=analog)

    def evaluate_batch(
        self, requests: Sequence[EvaluationRequest], on_epoch: OnBatchEpoch | None = None
    ) -> Iterator[tuple[int, Outcome]]:
        """Train many candidates; yield each one's number and its report or error, as they end.

        Parameters
        ----------
        requests : sequence of EvaluationRequest
            At most 1,000.
        on_epoch : callable, optional
            Told a request's number and each of its epochs, once, in this thread.

        Raises
        ------
        InvalidRequest
            There are more than 1,000.
        """
        return run_batch(self.evaluate, requests, self.slots + AHEAD, on_epoch)

    @property
    def data_folder(self) -> Path | None:
        """Where files of data sets are, if anywhere."""
        return self._datasets.folder

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
        self._evaluations.close(Cancelled("the trainer was closed before this evaluation ended"))
        if self._cache is not None:
            self._cache.close()
        self._artifacts.close()

    @abstractmethod
    def _nodes(self) -> tuple[NodeInfo, ...]:
        """Say where the slots are."""

    def _ray_version(self) -> str:
        return ""

    def _identify(self, request: EvaluationRequest) -> Identity:
        """Name an evaluation; what is wrong with it is refused before anything waits."""
        return identify(request, self._datasets.load(request.dataset).info, self.device, self.threads)

    def _ask(self, request: EvaluationRequest, identity: Identity, caller: Caller) -> AccuracyReport:
        """Give the result of a request, from memory, the cache, or a training."""
        content = (identity, request.keep_weights, request.judge_test, request.stop_below_frac)
        return self._evaluations.run(
            request,
            content,
            caller,
            lambda tell: self._evaluate(request, identity, caller, tell),
            lambda report: self._is_whole(report, request, identity),
        )

    def _is_whole(self, report: AccuracyReport, request: EvaluationRequest, identity: Identity) -> bool:
        """Whether what belongs to a known result is there: weights may have made room for others since."""
        if not request.keep_weights or report.stopped_early:
            return True
        return self._artifacts.has_weights(identity.evaluation)

    def _weights(self, identity: Identity) -> bytes | None:
        """Give the weights of an evaluation, or None; a damaged file is as if it were not there."""
        weights = self._artifacts.weights(identity.evaluation)
        try:
            if weights is not None:
                deserialize(weights)  # type: ignore[no-untyped-call]
        except SafetensorError as error:
            log.warning("weights %s are damaged, and learnt again: %s", identity.evaluation, error)
            self._artifacts.drop_weights(identity.evaluation)
            return None
        return weights

    def _learn(
        self, request: EvaluationRequest, identity: Identity, caller: Caller
    ) -> tuple[AccuracyReport, bytes]:
        """Train, unless that is known, and give the weights, which the request keeps."""
        kept = self._weights(identity)  # before what is known is asked for: damaged ones are dropped here
        report = self._ask(request, identity, caller)
        weights = kept or self._weights(identity)
        if weights is None:
            caller.check()  # the trainer was closed meanwhile
            # No Unavailable: clients would ask, and have it trained, again and again.
            text = "the weights could not be kept, and the trainer's log says why; make room for them"
            raise NotPossible.of(Violation("artifacts", text))
        return report, weights

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
        if report is not None and not self._is_whole(report, request, identity):
            report = None
        self._on_cached(report is not None)
        return report

    def _train(
        self, request: EvaluationRequest, identity: Identity, caller: Caller, tell: OnEpoch
    ) -> AccuracyReport:
        def job() -> TrainJob:
            resume = self._artifacts.checkpoint(identity.trunk, request.trunk_epochs)
            return TrainJob(name=uuid4().hex, request=request, resume=resume)

        def hear(item: Item) -> None:
            match item:
                case EpochReport():
                    tell(item)
                case Checkpoint():
                    self._artifacts.put_checkpoint(identity.trunk, item.epoch, item.data)
                case Weights():
                    self._artifacts.put_weights(identity.evaluation, item.data)

        return cast("AccuracyReport", self._do(job, self._datasets.load(request.dataset), caller, hear))


def _ignore(_: object) -> None:
    pass
