"""The trainer behind gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from services.common.convert import to_pb
from services.common.errors import Overloaded
from services.common.pb.imcnas.v1 import trainer_pb2 as pb
from services.common.pb.imcnas.v1 import trainer_pb2_grpc
from services.common.rpc.limits import MAX_MESSAGE_BYTES
from services.common.rpc.server import RpcServer, listening, serve_until
from services.common.settings import TrainerSettings
from services.trainer.convert import event_to_pb, request_from_pb
from services.trainer.evaluator import Evaluator
from services.trainer.metrics import TrainerMetrics
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest

SERVICE = pb.DESCRIPTOR.services_by_name["TrainerService"].full_name

MAX_EVALUATIONS = 64
"""Evaluations that run or wait at once, each in its thread; more are refused as Overloaded."""


class TrainerServicer(trainer_pb2_grpc.TrainerServiceServicer):
    """Unpacks, calls the evaluator in a thread, packs."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._threads = ThreadPoolExecutor(MAX_EVALUATIONS, thread_name_prefix="evaluation")
        self._running = 0

    async def Evaluate(  # noqa: N802  # gRPC's name, here and below
        self, request: pb.TrainerServiceEvaluateRequest, context: Any
    ) -> AsyncIterator[pb.TrainerServiceEvaluateResponse]:
        """Stream one evaluation."""
        async for event in self._follow(request_from_pb(request)):
            yield event_to_pb(event)

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Any) -> pb.GetDatasetResponse:  # noqa: N802
        """Describe a data set."""
        dataset = await asyncio.to_thread(self._evaluator.dataset, request.name)
        return pb.GetDatasetResponse(dataset=to_pb(dataset, pb.DatasetInfo))

    async def GetServerInfo(  # noqa: N802
        self, request: pb.TrainerServiceGetServerInfoRequest, context: Any
    ) -> pb.TrainerServiceGetServerInfoResponse:
        """Say what this trainer is."""
        info = to_pb(await asyncio.to_thread(self._evaluator.info), pb.TrainerInfo)
        return pb.TrainerServiceGetServerInfoResponse(info=info, max_message_bytes=MAX_MESSAGE_BYTES)

    async def _follow(self, request: EvaluationRequest) -> AsyncIterator[EpochReport | AccuracyReport]:
        """Yield an evaluation's events; it goes on when the reader leaves, who may come back for it."""
        if self._running >= MAX_EVALUATIONS:
            raise Overloaded(f"{self._running} evaluations run or wait already: try again later")
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[EpochReport | None] = asyncio.Queue()

        def on_epoch(epoch: EpochReport) -> None:
            loop.call_soon_threadsafe(events.put_nowait, epoch)

        def on_end(ended: asyncio.Future[AccuracyReport]) -> None:
            self._running -= 1
            ended.cancelled() or ended.exception()  # read here, for a reader who has left
            events.put_nowait(None)

        self._running += 1
        report = loop.run_in_executor(self._threads, self._evaluator.evaluate, request, on_epoch)
        report.add_done_callback(on_end)
        while (epoch := await events.get()) is not None:
            yield epoch
        yield await report


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
    if settings.inline:
        from services.trainer.inline import InlineTrainer

        return InlineTrainer(metrics.ended)
    from services.trainer.pool import RayTrainer

    return RayTrainer(settings.slots, settings.ray_address, on_end=metrics.ended)
