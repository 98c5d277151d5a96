"""The trainer behind gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from services.common.convert import to_pb
from services.common.errors import InvalidDataset, NotFound, Overloaded, Violation, error_report
from services.common.pb.imcnas.v1 import trainer_pb2 as pb
from services.common.pb.imcnas.v1 import trainer_pb2_grpc
from services.common.rpc.limits import MAX_MESSAGE_BYTES
from services.common.rpc.server import RpcServer, listening, serve_until
from services.common.rpc.status import to_error
from services.common.rpc.workers import Workers
from services.common.settings import TrainerSettings
from services.trainer.analog_types import OnChipRequest
from services.trainer.artifacts import Artifacts
from services.trainer.batch import AHEAD, check_batch
from services.trainer.cache import ResultCache
from services.trainer.convert import Event, chip_request_from_pb, event_fields, request_from_pb
from services.trainer.data import Registry
from services.trainer.evaluator import Evaluator, Options
from services.trainer.metrics import TrainerMetrics
from services.trainer.types import DatasetInfo, EvaluationRequest, Queued

Tell = Callable[[Event], None]

SERVICE = pb.DESCRIPTOR.services_by_name["TrainerService"].full_name

MAX_EVALUATIONS = 1024
"""Evaluations that run or wait at once, each in its thread however many read it; more are refused as
Overloaded."""

MAX_LOOKS = 8
"""Other calls at once; further ones wait."""


class TrainerServicer(trainer_pb2_grpc.TrainerServiceServicer):
    """Unpacks, calls the evaluator in a thread, packs."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._workers = Workers(MAX_LOOKS)
        self._threads = ThreadPoolExecutor(MAX_EVALUATIONS, thread_name_prefix="evaluation")
        self._running: dict[object, _Evaluation] = {}

    async def Evaluate(  # noqa: N802  # gRPC's name, here and below
        self, request: pb.TrainerServiceEvaluateRequest, context: Any
    ) -> AsyncIterator[pb.TrainerServiceEvaluateResponse]:
        """Stream one evaluation."""
        async for event in self._evaluation(request_from_pb(request)).events():
            yield pb.TrainerServiceEvaluateResponse(**event_fields(event))

    async def BatchEvaluate(  # noqa: N802
        self, request: pb.TrainerServiceBatchEvaluateRequest, context: Any
    ) -> AsyncIterator[pb.TrainerServiceBatchEvaluateResponse]:
        """Stream many evaluations; those that have begun go on when the reader leaves."""
        check_batch(len(request.evaluations))
        news: asyncio.Queue[pb.TrainerServiceBatchEvaluateResponse | None] = asyncio.Queue()
        running: set[asyncio.Task[None]] = set()

        async def one(index: int) -> None:
            try:
                async for event in self._evaluation(request_from_pb(request.evaluations[index])).events():
                    news.put_nowait(_numbered(index, event))
            except Exception as error:  # it fails alone
                report = error_report(to_error(error, "BatchEvaluate"))
                news.put_nowait(_numbered(index, report))

        async def all_of_them() -> None:
            for index in range(len(request.evaluations)):
                while len(running) >= self._evaluator.slots + AHEAD:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(one(index))
                running.add(task)
                task.add_done_callback(running.discard)
            if running:
                await asyncio.wait(running)
            news.put_nowait(None)

        beginning = asyncio.create_task(all_of_them())
        try:
            while (response := await news.get()) is not None:
                yield response
        finally:
            for task in (beginning, *running):  # the readers alone: their evaluations go on
                task.cancel()

    async def EvaluateOnChip(  # noqa: N802
        self, request: pb.EvaluateOnChipRequest, context: Any
    ) -> AsyncIterator[pb.EvaluateOnChipResponse]:
        """Stream one evaluation on chips."""
        async for event in self._evaluation(chip_request_from_pb(request)).events():
            yield pb.EvaluateOnChipResponse(**event_fields(event))

    async def CancelEvaluation(  # noqa: N802
        self, request: pb.CancelEvaluationRequest, context: Any
    ) -> pb.CancelEvaluationResponse:
        """Stop an evaluation."""
        cancelled = await self._workers.run(self._evaluator.cancel, request.request_id)
        return pb.CancelEvaluationResponse(cancelled=cancelled)

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Any) -> pb.GetDatasetResponse:  # noqa: N802
        """Describe a data set."""
        dataset = await self._workers.run(self._dataset, request.name)
        return pb.GetDatasetResponse(dataset=to_pb(dataset, pb.DatasetInfo))

    async def GetServerInfo(  # noqa: N802
        self, request: pb.TrainerServiceGetServerInfoRequest, context: Any
    ) -> pb.TrainerServiceGetServerInfoResponse:
        """Say what this trainer is."""
        info = to_pb(await self._workers.run(self._evaluator.info), pb.TrainerInfo)
        return pb.TrainerServiceGetServerInfoResponse(info=info, max_message_bytes=MAX_MESSAGE_BYTES)

    def _evaluation(self, request: EvaluationRequest | OnChipRequest) -> _Evaluation:
        """Find the evaluation that runs for this request's id, or begin one."""
        key: object = request if request.request_id else object()
        running = self._running.get(key)
        if running is None:
            if len(self._running) >= MAX_EVALUATIONS:
                raise Overloaded(f"{len(self._running)} evaluations run or wait already: try again later")
            running = self._running[key] = _Evaluation(partial(self._evaluate, request), self._threads)
            running.report.add_done_callback(lambda _: self._running.pop(key))
        return running

    def _evaluate(self, request: EvaluationRequest | OnChipRequest, tell: Tell) -> Event:
        with _within(self._evaluator.data_folder):
            if isinstance(request, OnChipRequest):
                return self._evaluator.evaluate_on_chip(request, tell, tell, tell)
            return self._evaluator.evaluate(request, tell, tell)

    def _dataset(self, name: str) -> DatasetInfo:
        with _within(self._evaluator.data_folder):
            return self._evaluator.dataset(name)


@contextmanager
def _within(folder: Path | None) -> Iterator[None]:
    """Name files of data sets as they lie in their folder: where that is, is the trainer's own business."""

    def cut(text: str) -> str:
        return text.replace(f"{folder}/", "").replace(str(folder), "the trainer's data folder")

    try:
        yield
    except (InvalidDataset, NotFound) as error:
        if folder is None or not folder.is_absolute():
            raise
        inside = [Violation(cut(v.field), cut(v.description)) for v in error.violations]
        raise type(error)(cut(error.message), inside) from error


class _Evaluation:
    """One evaluation in one thread, read in the loop; it goes on when readers leave, who may come back.

    Parameters
    ----------
    evaluate : callable
        Given where to tell its events, gives the report.
    threads : ThreadPoolExecutor
    """

    def __init__(self, evaluate: Callable[[Tell], Event], threads: ThreadPoolExecutor) -> None:
        self._events: list[Event] = []
        self._place: Queued | None = None  # the last one alone is of interest, and only while it waits
        self._news = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell(event: Event) -> None:
            loop.call_soon_threadsafe(self._add, event)

        self.report = loop.run_in_executor(threads, evaluate, tell)
        self.report.add_done_callback(self._end)

    async def events(self) -> AsyncIterator[Event]:
        """Yield every event so far and to come, then the report; raises what the evaluation raised.

        Of its places in the queue the present one, as it changes.
        """
        told, place = 0, None
        while told < len(self._events) or not self.report.done():
            if told < len(self._events):
                told, place = told + 1, None
                yield self._events[told - 1]
            elif self._place not in (None, place):
                place = self._place
                yield self._place
            else:
                await self._news.wait()
        yield self.report.result()

    def _add(self, event: Event) -> None:
        if isinstance(event, Queued):
            self._place = event
        else:
            self._place = None
            self._events.append(event)
        self._wake()

    def _end(self, report: asyncio.Future[Event]) -> None:
        report.cancelled() or report.exception()  # read here, for readers who have left
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _numbered(index: int, event: Event) -> pb.TrainerServiceBatchEvaluateResponse:
    return pb.TrainerServiceBatchEvaluateResponse(index=index, **event_fields(event))


def trainer_server(
    evaluator: Evaluator, settings: TrainerSettings, registry: CollectorRegistry | None = None
) -> RpcServer:
    """Build a trainer's server; it does not listen before it is started."""
    servicer = TrainerServicer(evaluator)
    return RpcServer(
        SERVICE,
        lambda server: trainer_pb2_grpc.add_TrainerServiceServicer_to_server(servicer, server),
        settings,
        registry or CollectorRegistry(),
    )


@asynccontextmanager
async def serving(settings: TrainerSettings) -> AsyncIterator[None]:
    """Serve a trainer meanwhile; trainings that run at its end are dropped."""
    registry = CollectorRegistry()
    metrics = TrainerMetrics(registry)
    # In the main thread, though it blocks: only there can the pool put back the signal handlers Ray replaces.
    evaluator = _evaluator(settings, metrics)
    try:
        metrics.watch(evaluator)
        async with listening(trainer_server(evaluator, settings, registry)):
            yield
    finally:
        await asyncio.to_thread(evaluator.close)


async def serve(settings: TrainerSettings, stop: asyncio.Event | None = None) -> None:
    """Serve a trainer until `stop` is set, or a signal comes if none is given."""
    await serve_until(serving(settings), stop)


def _evaluator(settings: TrainerSettings, metrics: TrainerMetrics) -> Evaluator:
    """Make the evaluator that the settings want; each imports only what it trains with."""
    options = Options(
        datasets=Registry(settings.data),
        artifacts=Artifacts(settings.artifacts),
        cache=ResultCache(settings.cache) if settings.cache else None,
        queue_limit=settings.queue_limit,
        timeout_s=settings.timeout_s or None,
        on_end=metrics.ended,
        on_cached=metrics.looked,
    )
    if settings.inline:
        from services.trainer.inline import InlineTrainer

        return InlineTrainer(**options)
    from services.trainer.pool import RayTrainer

    return RayTrainer(
        settings.slots,
        settings.ray_address,
        threads=settings.threads,
        gpus=settings.gpus,
        start_timeout_s=settings.start_timeout_s,
        **options,
    )
