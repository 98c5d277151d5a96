"""The searcher behind gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from services.common.convert import to_pb
from services.common.errors import InvalidRequest, missing
from services.common.pb.imcnas.v1 import searcher_pb2 as pb
from services.common.pb.imcnas.v1 import searcher_pb2_grpc
from services.common.pb.imcnas.v1.trainer_pb2 import DatasetInfo as DatasetInfoMessage
from services.common.rpc.server import RpcServer, listening, serve_until
from services.common.rpc.workers import Workers
from services.common.settings import SearcherSettings
from services.hw_oracle.client import HwOracle
from services.searcher.convert import create_from_pb, page_from_pb, watch_from_pb, watched_to_pb
from services.searcher.manager import SearchManager
from services.searcher.metrics import SearcherMetrics
from services.trainer.client import Trainer

SERVICE = pb.DESCRIPTOR.services_by_name["SearcherService"].full_name

MAX_CALLS = 16
"""Calls other than watches at once; further ones wait."""

MAX_WATCHERS = 64
"""Threads that wait for trials on behalf of watchers; further watchers take turns."""

WATCH_WAIT_S = 1.0
"""How long a thread waits before it looks whether its watcher is still there."""


class SearcherServicer(searcher_pb2_grpc.SearcherServiceServicer):
    """Unpacks, calls the manager in a thread, packs."""

    def __init__(self, manager: SearchManager) -> None:
        self._manager = manager
        self._workers, self._watchers = Workers(MAX_CALLS), Workers(MAX_WATCHERS)

    async def GetDataset(  # noqa: N802  # gRPC's name, here and below
        self, request: pb.SearcherServiceGetDatasetRequest, context: Any
    ) -> pb.SearcherServiceGetDatasetResponse:
        """Describe a data set."""
        dataset = await self._workers.run(self._manager.dataset, request.name)
        return pb.SearcherServiceGetDatasetResponse(dataset=to_pb(dataset, DatasetInfoMessage))

    async def CreateSearch(  # noqa: N802
        self, request: pb.CreateSearchRequest, context: Any
    ) -> pb.CreateSearchResponse:
        """Start a study or go on with it."""
        study_id = await self._workers.run(self._manager.create, *create_from_pb(request))
        return pb.CreateSearchResponse(study_id=study_id)

    async def GetSearch(self, request: pb.GetSearchRequest, context: Any) -> pb.GetSearchResponse:  # noqa: N802
        """Tell how a study stands."""
        status = await self._workers.run(self._manager.status, request.study_id)
        return pb.GetSearchResponse(status=to_pb(status, pb.StudyStatus))

    async def WatchSearch(  # noqa: N802
        self, request: pb.WatchSearchRequest, context: Any
    ) -> AsyncIterator[pb.WatchSearchResponse]:
        """Stream a study's finished trials."""
        (study, cursor), ended = watch_from_pb(request), False
        look = self._manager.finished_trials
        while not ended:
            trials, ended = await self._watchers.run(look, study, cursor, WATCH_WAIT_S)
            for cursor, trial in enumerate(trials, start=cursor + 1):  # noqa: B020  # counts on
                yield watched_to_pb(trial, cursor)

    async def CancelSearch(self, request: pb.CancelSearchRequest, context: Any) -> pb.CancelSearchResponse:  # noqa: N802
        """Ask a study to end."""
        await self._workers.run(self._manager.cancel, request.study_id)
        return pb.CancelSearchResponse()

    async def ListSearches(  # noqa: N802
        self, request: pb.ListSearchesRequest, context: Any
    ) -> pb.ListSearchesResponse:
        """List the studies."""
        start, size = page_from_pb(request)
        studies = await self._workers.run(self._manager.studies)
        page, end = studies[start : start + size], start + size
        return pb.ListSearchesResponse(
            studies=[to_pb(study, pb.StudySummary) for study in page],
            next_page_token=_next(end < len(studies), end),
        )

    async def ListTrials(self, request: pb.ListTrialsRequest, context: Any) -> pb.ListTrialsResponse:  # noqa: N802
        """List a study's trials."""
        start, size = page_from_pb(request)
        trials = await self._workers.run(self._manager.trials, request.study_id, start, size + 1)
        page = [to_pb(trial, pb.Trial) for trial in trials[:size]]
        return pb.ListTrialsResponse(trials=page, next_page_token=_next(len(trials) > size, start + size))

    async def GetTrial(self, request: pb.GetTrialRequest, context: Any) -> pb.GetTrialResponse:  # noqa: N802
        """Tell all of one trial."""
        if not request.HasField("number"):
            raise InvalidRequest.of(missing("number", "that of a trial"))
        trial = await self._workers.run(self._manager.trial, request.study_id, request.number)
        return pb.GetTrialResponse(trial=to_pb(trial, pb.Trial))

    async def ResumeSearch(  # noqa: N802
        self, request: pb.ResumeSearchRequest, context: Any
    ) -> pb.ResumeSearchResponse:
        """Go on with a study."""
        wanted = request.trials_wanted if request.HasField("trials_wanted") else None
        await self._workers.run(self._manager.resume, request.study_id, wanted)
        return pb.ResumeSearchResponse()

    async def DeleteSearch(self, request: pb.DeleteSearchRequest, context: Any) -> pb.DeleteSearchResponse:  # noqa: N802
        """Delete a study."""
        await self._workers.run(self._manager.delete, request.study_id)
        return pb.DeleteSearchResponse()

    async def GetFront(self, request: pb.GetFrontRequest, context: Any) -> pb.GetFrontResponse:  # noqa: N802
        """Tell a front."""
        front = await self._workers.run(self._manager.front, request.study_id, tuple(request.quantities))
        return pb.GetFrontResponse(trials=[to_pb(trial, pb.Trial) for trial in front])


def _next(more: bool, start: int) -> str:
    return str(start) if more else ""


def searcher_server(
    manager: SearchManager, settings: SearcherSettings, registry: CollectorRegistry | None = None
) -> RpcServer:
    """Build a searcher's server; it does not listen before it is started."""
    servicer = SearcherServicer(manager)
    return RpcServer(
        SERVICE,
        lambda server: searcher_pb2_grpc.add_SearcherServiceServicer_to_server(servicer, server),
        settings,
        registry or CollectorRegistry(),
    )


@asynccontextmanager
async def serving(settings: SearcherSettings) -> AsyncIterator[None]:
    """Serve a searcher meanwhile; searches that run at its end go on at once when it is served again."""
    registry = CollectorRegistry()
    metrics = SearcherMetrics(registry)
    with HwOracle(settings.oracle) as oracle, Trainer(settings.trainer) as trainer:
        manager = await asyncio.to_thread(
            SearchManager, settings.store, oracle, trainer, workers=settings.workers, on_event=metrics.tell
        )
        try:
            async with listening(searcher_server(manager, settings, registry)):
                yield
        finally:
            await asyncio.to_thread(manager.close)


async def serve(settings: SearcherSettings, stop: asyncio.Event | None = None) -> None:
    """Serve a searcher until `stop` is set, or a signal comes if none is given."""
    await serve_until(serving(settings), stop)
