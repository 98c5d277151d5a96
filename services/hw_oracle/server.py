"""The oracle behind gRPC."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry

from services.common.candidate import MAX_BLOCKS
from services.common.convert import from_pb, to_pb
from services.common.errors import ImcnasError, InvalidRequest, Violation, missing, violation
from services.common.layers import MAX_LAYERS, LayerList
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.pb.imcnas.v1 import hw_oracle_pb2_grpc, network_pb2
from services.common.rpc.limits import MAX_MESSAGE_BYTES
from services.common.rpc.server import RpcServer, listening, serve_until
from services.common.rpc.workers import Workers
from services.common.settings import OracleSettings
from services.hw_oracle import cost, local, reference
from services.hw_oracle.cache import LruCache
from services.hw_oracle.candidates import NumberedCandidates, cost_chunk
from services.hw_oracle.compiled.ahead import compile_ahead
from services.hw_oracle.compiled.pack import pack_chip
from services.hw_oracle.compiled.run import UNLIMITED, Checkpoint, cores, go_on, run_messages
from services.hw_oracle.compiled.wire import decode
from services.hw_oracle.convert import (
    MAX_CANDIDATES,
    MAX_NETWORKS,
    add_costs,
    bodies_of,
    candidates_from_pb,
    chip_from_pb,
    detail_from_pb,
    error_to_pb,
    report_to_pb,
    totals_to_pb,
)
from services.hw_oracle.mapping import MAX_POINTS
from services.hw_oracle.metrics import OracleMetrics
from services.hw_oracle.types import CandidateCosts, ChipConfig, CostReport, Detail, chip_hash

SERVICE = pb.DESCRIPTOR.services_by_name["HwOracleService"].full_name

MAX_THREADS = max(4, cores())
"""Pieces of work at once that are not small; further ones wait. Each may take some hundred MB."""

SMALL_LAYERS, SMALL_BYTES, SMALL_WORK = 512, 16 * 1024, 2**18
"""A network of at most so much is evaluated at once: a thread for it would cost more than the answer."""

CHUNK = 100
"""Networks of a batch that one thread takes; it looks more often whether anyone still waits for them."""

MAX_ANSWER_BYTES = MAX_MESSAGE_BYTES - 2**20
"""Reports of a batch that are not just totals; these always fit into what is left."""


class Evaluations:
    """Networks as messages -> reports as messages.

    Parameters
    ----------
    metrics : OracleMetrics
    cached_layers : int
        Layers, and reports without any, that the cache has room for.
    """

    def __init__(self, metrics: OracleMetrics, cached_layers: int) -> None:
        self._metrics = metrics
        self._cache: LruCache[pb.CostReport] = LruCache(cached_layers)

    def totals(
        self,
        networks: Sequence[network_pb2.LayerList],
        chip: ChipConfig,
        most_work: int = UNLIMITED,
        checkpoint: Checkpoint = go_on,
    ) -> list[pb.CostReport | None]:
        """Make totals, faster than a cache would find them; None where the reference has to say more."""
        begin, packed = perf_counter(), pack_chip(chip)
        totals = run_messages(*bodies_of(networks), packed, most_work, checkpoint)
        messages = [None if total is None else totals_to_pb(total, packed.hash) for total in totals]
        if sound := len(messages) - messages.count(None):
            self._metrics.chunk(perf_counter() - begin, sound)
        return messages

    def one(self, network: network_pb2.LayerList, chip: ChipConfig, detail: Detail) -> pb.CostReport:
        """Evaluate a network, or find what it cost before."""
        if detail is Detail.TOTALS:
            (message,) = self.totals((network,), chip)
            return message or self.by_reference(network, chip, detail)
        packed = decode(*bodies_of((network,)))
        if not len(packed.layers):  # it was not read: only the reference tells such ones apart
            return self.by_reference(network, chip, detail)
        key = packed.content(), chip_hash(chip), detail
        message = self._cache.get(key)
        self._metrics.looked_up(message is not None)
        if message is None:
            with self._metrics.evaluation():
                report = cost.cost_packed(packed, chip, detail) or _by_reference(network, chip, detail)
            message = report_to_pb(report)
            self._cache.put(key, message, 1 + len(message.layers))
        return message

    def many(
        self,
        networks: Sequence[network_pb2.LayerList],
        chip: ChipConfig,
        detail: Detail,
        room: int,
        checkpoint: Checkpoint,
    ) -> list[pb.EvaluationResult]:
        """Evaluate networks, each by itself; results that are not just totals have `room` bytes."""
        messages: list[pb.CostReport | None] = [None] * len(networks)
        evaluate, results = self.one, []
        if detail is Detail.TOTALS:
            messages = self.totals(networks, chip, checkpoint=checkpoint)
            evaluate = self.by_reference
        for network, message in zip(networks, messages, strict=True):
            if message is not None:
                results.append(pb.EvaluationResult(report=message))
                continue
            checkpoint()
            results.append(_result(evaluate, network, chip, detail))
            room -= results[-1].ByteSize()
            if room < 0:
                wrong = f"the answers exceed {MAX_MESSAGE_BYTES} bytes: send fewer, or ask for less detail"
                raise InvalidRequest.of(Violation("networks", wrong))
        return results

    def by_reference(self, network: network_pb2.LayerList, chip: ChipConfig, detail: Detail) -> pb.CostReport:
        """Let the reference say what is wrong with a network, or what it costs after all."""
        with self._metrics.evaluation():
            return report_to_pb(_by_reference(network, chip, detail))

    def candidates(self, batch: NumberedCandidates, checkpoint: Checkpoint) -> CandidateCosts:
        """Cost candidates."""
        begin = perf_counter()
        costs = cost_chunk(batch, checkpoint)
        refused = len(costs.errors)
        self._metrics.chunk(perf_counter() - begin, len(costs.latency_ns) - refused, refused)
        return costs


def _by_reference(network: network_pb2.LayerList, chip: ChipConfig, detail: Detail) -> CostReport:
    return cost.trim(reference.evaluate(from_pb(network, LayerList), chip), detail)


def _result(
    evaluate: Callable[[network_pb2.LayerList, ChipConfig, Detail], pb.CostReport],
    network: network_pb2.LayerList,
    chip: ChipConfig,
    detail: Detail,
) -> pb.EvaluationResult:
    try:
        return pb.EvaluationResult(report=evaluate(network, chip, detail))
    except ImcnasError as error:
        return pb.EvaluationResult(error=error_to_pb(error))


class HwOracleServicer(hw_oracle_pb2_grpc.HwOracleServiceServicer):
    """Unpacks, calls the core, packs; what is not small in a thread, and in chunks.

    A call that is cancelled or late ends between two networks, or a step of small ones.
    """

    def __init__(self, metrics: OracleMetrics, cached_layers: int) -> None:
        self._evaluations = Evaluations(metrics, cached_layers)
        self._workers = Workers(MAX_THREADS)

    async def Evaluate(  # noqa: N802  # gRPC's name, here and below
        self, request: pb.HwOracleServiceEvaluateRequest, context: Any
    ) -> pb.HwOracleServiceEvaluateResponse:
        """Evaluate one network on one chip."""
        report = await self._one(request.network, _chip(request), detail_from_pb(request.detail))
        return pb.HwOracleServiceEvaluateResponse(report=report)

    async def BatchEvaluate(  # noqa: N802
        self, request: pb.HwOracleServiceBatchEvaluateRequest, context: Any
    ) -> pb.HwOracleServiceBatchEvaluateResponse:
        """Evaluate many networks on one chip."""
        _check_count("networks", len(request.networks), MAX_NETWORKS)
        chip, detail = _chip(request), detail_from_pb(request.detail)
        response = pb.HwOracleServiceBatchEvaluateResponse()
        for first in range(0, len(request.networks), CHUNK):
            chunk, room = request.networks[first : first + CHUNK], MAX_ANSWER_BYTES - response.ByteSize()
            response.results.extend(
                await self._workers.run_in_steps(self._evaluations.many, chunk, chip, detail, room)
            )
        return response

    async def EvaluateCandidates(  # noqa: N802
        self, request: pb.HwOracleServiceEvaluateCandidatesRequest, context: Any
    ) -> pb.HwOracleServiceEvaluateCandidatesResponse:
        """Cost candidates of a search space."""
        _check_count("depths", len(request.depths), MAX_CANDIDATES)
        _check_count("choices", len(request.choices), MAX_CANDIDATES * MAX_BLOCKS)
        batch = candidates_from_pb(request, _chip(request))
        response = pb.HwOracleServiceEvaluateCandidatesResponse()
        for chunk in batch.chunks():
            costs = await self._workers.run_in_steps(self._evaluations.candidates, chunk)
            add_costs(response.costs, costs)
        return response

    async def EvaluateStream(  # noqa: N802
        self, requests: AsyncIterator[pb.HwOracleServiceEvaluateStreamRequest], context: Any
    ) -> AsyncIterator[pb.HwOracleServiceEvaluateStreamResponse]:
        """Evaluate networks as they come."""
        chip: ChipConfig | None = None
        async for request in requests:
            if chip is None or request.WhichOneof("chip"):
                chip = _chip(request)
            try:
                report = await self._one(request.network, chip, detail_from_pb(request.detail))
                result = pb.EvaluationResult(report=report)
            except ImcnasError as error:
                result = pb.EvaluationResult(error=error_to_pb(error))
            yield pb.HwOracleServiceEvaluateStreamResponse(result=result)

    async def Validate(  # noqa: N802
        self, request: pb.HwOracleServiceValidateRequest, context: Any
    ) -> pb.HwOracleServiceValidateResponse:
        """Say what is wrong with a network, a chip, or the two together."""
        errors = await self._workers.run(_errors, request)
        return pb.HwOracleServiceValidateResponse(errors=map(error_to_pb, errors))

    async def ListChips(  # noqa: N802
        self, request: pb.HwOracleServiceListChipsRequest, context: Any
    ) -> pb.HwOracleServiceListChipsResponse:
        """List the chips known by name."""
        chips = (to_pb(chip, pb.ChipInfo) for chip in local.chips())
        return pb.HwOracleServiceListChipsResponse(chips=chips)

    async def GetChip(  # noqa: N802
        self, request: pb.HwOracleServiceGetChipRequest, context: Any
    ) -> pb.HwOracleServiceGetChipResponse:
        """Tell all of a chip known by name."""
        config = local.chip(request.name)
        (info,) = (to_pb(chip, pb.ChipInfo) for chip in local.chips() if chip.name == request.name)
        return pb.HwOracleServiceGetChipResponse(info=info, config=to_pb(config, pb.ChipConfig))

    async def GetServerInfo(  # noqa: N802
        self, request: pb.HwOracleServiceGetServerInfoRequest, context: Any
    ) -> pb.HwOracleServiceGetServerInfoResponse:
        """Say what this oracle is, and its limits."""
        return pb.HwOracleServiceGetServerInfoResponse(
            info=to_pb(local.info(), pb.OracleInfo),
            max_message_bytes=MAX_MESSAGE_BYTES,
            max_networks=MAX_NETWORKS,
            max_candidates=MAX_CANDIDATES,
            max_layers=MAX_LAYERS,
            max_points=MAX_POINTS,
        )

    async def _one(self, network: network_pb2.LayerList, chip: ChipConfig, detail: Detail) -> pb.CostReport:
        small = len(network.layers) <= SMALL_LAYERS and network.ByteSize() <= SMALL_BYTES
        if small and detail is Detail.TOTALS:
            (report,) = self._evaluations.totals((network,), chip, SMALL_WORK)
            if report is not None:
                return report
        return await self._workers.run(self._evaluations.one, network, chip, detail)


def _chip(request: Any) -> ChipConfig:
    return local.preset(chip_from_pb(request))


def _check_count(field: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidRequest.of(
            violation(field, f"{count} items", f"at most {most}", "send several requests")
        )


def _errors(request: pb.HwOracleServiceValidateRequest) -> list[ImcnasError]:
    """Everything that is wrong; of the two together only where each is right by itself."""
    if not request.HasField("network") and not request.WhichOneof("chip"):
        return [InvalidRequest.of(missing("network", "a network, a chip, or both"))]
    found: list[ImcnasError] = []
    network = chip = None
    try:
        network = from_pb(request.network, LayerList) if request.HasField("network") else None
    except ImcnasError as error:
        found.append(error.with_traceback(None))  # else a circle of list, error and frame, with the request
    try:
        chip = _chip(request) if request.WhichOneof("chip") else None
    except ImcnasError as error:
        found.append(error.with_traceback(None))
    if network and chip:
        try:
            reference.evaluate(network, chip)
        except ImcnasError as error:
            found.append(error.with_traceback(None))
    return found


def oracle_server(settings: OracleSettings) -> RpcServer:
    """Build an oracle's server; it does not listen before it is started."""
    registry = CollectorRegistry()
    servicer = HwOracleServicer(OracleMetrics(registry), settings.cached_layers)
    return RpcServer(
        SERVICE,
        lambda server: hw_oracle_pb2_grpc.add_HwOracleServiceServicer_to_server(servicer, server),
        settings,
        registry,
    )


@asynccontextmanager
async def serving(settings: OracleSettings) -> AsyncIterator[None]:
    """Serve an oracle meanwhile; it listens once its first answer would come at once."""
    await asyncio.to_thread(compile_ahead)
    gc.freeze()  # what is loaded by now stays: collections need not go through it again and again
    async with listening(oracle_server(settings)):
        yield


async def serve(settings: OracleSettings, stop: asyncio.Event | None = None) -> None:
    """Serve an oracle until `stop` is set, or a signal comes if none is given."""
    await serve_until(serving(settings), stop)
