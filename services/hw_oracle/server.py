"""The oracle behind gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from services.common.convert import to_pb
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.pb.imcnas.v1 import hw_oracle_pb2_grpc
from services.common.rpc.limits import MAX_MESSAGE_BYTES
from services.common.rpc.server import RpcServer, listening, serve_until
from services.common.rpc.workers import Workers
from services.common.settings import OracleSettings
from services.hw_oracle import local
from services.hw_oracle.convert import request_from_pb
from services.hw_oracle.metrics import OracleMetrics

SERVICE = pb.DESCRIPTOR.services_by_name["HwOracleService"].full_name

MAX_EVALUATIONS = 16
"""Evaluations at once; further ones wait."""


class HwOracleServicer(hw_oracle_pb2_grpc.HwOracleServiceServicer):
    """Unpacks, calls the core in a thread, packs."""

    def __init__(self, metrics: OracleMetrics) -> None:
        self._metrics = metrics
        self._workers = Workers(MAX_EVALUATIONS)

    async def Evaluate(  # noqa: N802  # gRPC's name, here and below
        self, request: pb.HwOracleServiceEvaluateRequest, context: Any
    ) -> pb.HwOracleServiceEvaluateResponse:
        """Evaluate one network on one chip."""
        return await self._workers.run(self._evaluate, request)

    async def GetServerInfo(  # noqa: N802
        self, request: pb.HwOracleServiceGetServerInfoRequest, context: Any
    ) -> pb.HwOracleServiceGetServerInfoResponse:
        """Say what this oracle is."""
        info = to_pb(local.info(), pb.OracleInfo)
        return pb.HwOracleServiceGetServerInfoResponse(info=info, max_message_bytes=MAX_MESSAGE_BYTES)

    def _evaluate(self, request: pb.HwOracleServiceEvaluateRequest) -> pb.HwOracleServiceEvaluateResponse:
        with self._metrics.evaluation():
            report = local.evaluate(*request_from_pb(request))
        return pb.HwOracleServiceEvaluateResponse(report=to_pb(report, pb.CostReport))


def oracle_server(settings: OracleSettings) -> RpcServer:
    """Build an oracle's server; it does not listen before it is started."""
    registry = CollectorRegistry()
    servicer = HwOracleServicer(OracleMetrics(registry))
    return RpcServer(
        SERVICE,
        lambda server: hw_oracle_pb2_grpc.add_HwOracleServiceServicer_to_server(servicer, server),
        settings,
        registry,
    )


@asynccontextmanager
async def serving(settings: OracleSettings) -> AsyncIterator[None]:
    """Serve an oracle meanwhile."""
    async with listening(oracle_server(settings)):
        yield


async def serve(settings: OracleSettings, stop: asyncio.Event | None = None) -> None:
    """Serve an oracle until `stop` is set, or a signal comes if none is given."""
    await serve_until(serving(settings), stop)
