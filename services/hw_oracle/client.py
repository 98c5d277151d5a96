"""The oracle for callers: in this process, or a service elsewhere, with the same calls and errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from types import ModuleType, TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from services.common.alone import extra
from services.common.candidate import Candidate
from services.common.closing import Closing
from services.common.errors import ErrorReport, ImcnasError
from services.common.layers import Bits, LayerList, Shape
from services.common.pb.imcnas.v1.hw_oracle_pb2_grpc import HwOracleServiceStub
from services.common.rpc.channel import AsyncConnection, Connection
from services.common.space import SearchSpace
from services.hw_oracle import calls
from services.hw_oracle.convert import result_from_pb, stream_to_pb
from services.hw_oracle.info import ChipInfo, OracleInfo
from services.hw_oracle.types import CandidateCosts, ChipConfig, CostReport, Detail

P = ParamSpec("P")
T = TypeVar("T")


class HwOracle(Closing):
    """What a network costs on a chip.

    A chip is given as a `ChipConfig`, or by the name of a preset.

    Parameters
    ----------
    address : str or None
        ``host:port`` of an oracle's service; None evaluates in this process.
    timeout_s : float
        Deadline of a remote call.

    Raises
    ------
    NotPossible
        This process cannot evaluate, as the extra ``oracle`` is not installed.
    Unavailable, Overloaded, DeadlineExceeded
        From any remote call: the service cannot answer.
    """

    def __init__(self, address: str | None = None, timeout_s: float = 60.0) -> None:
        self._local = _local() if address is None else None
        self._remote = None if address is None else Connection(address, timeout_s)
        self._stub: Any = self._remote and HwOracleServiceStub(self._remote.channel)

    def evaluate(
        self, layers: LayerList, chip: ChipConfig | str = ChipConfig(), detail: Detail = Detail.MODULES
    ) -> CostReport:
        """Cost of one inference of `layers`.

        Raises
        ------
        InvalidNetwork, InvalidChip, ChipTooSmall, NotFound
            As the core does.
        """
        return self._do(calls.evaluate, layers, chip, detail)

    def evaluate_batch(
        self,
        networks: Sequence[LayerList],
        chip: ChipConfig | str = ChipConfig(),
        detail: Detail = Detail.TOTALS,
    ) -> list[CostReport | ImcnasError]:
        """Cost of each network in order, or the error that it alone would raise."""
        return self._do(calls.evaluate_batch, networks, chip, detail)

    def evaluate_candidates(
        self,
        space: SearchSpace,
        candidates: Sequence[Candidate],
        input_shape: Shape,
        classes: int,
        chip: ChipConfig | str = ChipConfig(),
        bits: Bits = Bits(),
    ) -> CandidateCosts:
        """Costs of candidates of one space, for images of one shape: totals alone, the fastest way.

        Raises
        ------
        InvalidCandidate
            A candidate is not one of the space's, or the images fit none.
        """
        return self._do(calls.evaluate_candidates, space, candidates, input_shape, classes, chip, bits)

    def evaluate_stream(
        self,
        networks: Iterable[LayerList],
        chip: ChipConfig | str = ChipConfig(),
        detail: Detail = Detail.TOTALS,
    ) -> Iterator[CostReport | ImcnasError]:
        """Yield the cost of each network, or its error, while further ones are still being made.

        A service renews its connections, so a remote stream lasts five minutes at most: for what may take
        longer there is `evaluate_batch`.
        """
        if self._remote is None:
            return (self._result(network, chip, detail) for network in networks)
        # the first alone carries the chip
        requests = (stream_to_pb(n, None if i else chip, detail) for i, n in enumerate(networks))
        responses = self._remote.exchange(self._stub.EvaluateStream, requests)
        return (result_from_pb(response.result) for response in responses)

    def validate(self, layers: LayerList, chip: ChipConfig | str = ChipConfig()) -> tuple[ErrorReport, ...]:
        """Say what is wrong with a network on a chip; nothing, if it can be evaluated."""
        return self._do(calls.validate, layers, chip)

    def chips(self) -> tuple[ChipInfo, ...]:
        """List the chips that the oracle knows by name."""
        return self._do(calls.chips)

    def chip(self, name: str) -> ChipConfig:
        """Tell all of a chip known by name; NotFound if there is none of that name."""
        return self._do(calls.chip, name)

    def info(self) -> OracleInfo:
        """Say what the oracle is."""
        return self._do(calls.info)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._remote is not None:
            self._remote.close()

    def _result(self, layers: LayerList, chip: ChipConfig | str, detail: Detail) -> CostReport | ImcnasError:
        (result,) = self.evaluate_batch((layers,), chip, detail)
        return result

    def _do(self, make: Callable[P, calls.Call[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._remote is None:
            return cast("T", getattr(self._local, make.__name__)(*args, **kwargs))
        call = make(*args, **kwargs)
        try:
            method, request = next(call)
            while True:
                method, request = call.send(self._remote.call(getattr(self._stub, method), request))
        except StopIteration as done:
            return cast("T", done.value)


class AsyncHwOracle:
    """`HwOracle` for asyncio: the same calls, to be awaited, in the loop that runs when it is made.

    Parameters
    ----------
    address, timeout_s
        As of `HwOracle`; without an address the work is done in threads of this process.
    """

    def __init__(self, address: str | None = None, timeout_s: float = 60.0) -> None:
        self._local = _local() if address is None else None
        self._remote = None if address is None else AsyncConnection(address, timeout_s)
        self._stub: Any = self._remote and HwOracleServiceStub(self._remote.channel)

    async def evaluate(
        self, layers: LayerList, chip: ChipConfig | str = ChipConfig(), detail: Detail = Detail.MODULES
    ) -> CostReport:
        """As `HwOracle.evaluate`."""
        return await self._do(calls.evaluate, layers, chip, detail)

    async def evaluate_batch(
        self,
        networks: Sequence[LayerList],
        chip: ChipConfig | str = ChipConfig(),
        detail: Detail = Detail.TOTALS,
    ) -> list[CostReport | ImcnasError]:
        """As `HwOracle.evaluate_batch`."""
        return await self._do(calls.evaluate_batch, networks, chip, detail)

    async def evaluate_candidates(
        self,
        space: SearchSpace,
        candidates: Sequence[Candidate],
        input_shape: Shape,
        classes: int,
        chip: ChipConfig | str = ChipConfig(),
        bits: Bits = Bits(),
    ) -> CandidateCosts:
        """As `HwOracle.evaluate_candidates`."""
        return await self._do(calls.evaluate_candidates, space, candidates, input_shape, classes, chip, bits)

    async def evaluate_stream(
        self,
        networks: Iterable[LayerList] | AsyncIterable[LayerList],
        chip: ChipConfig | str = ChipConfig(),
        detail: Detail = Detail.TOTALS,
    ) -> AsyncIterator[CostReport | ImcnasError]:
        """As `HwOracle.evaluate_stream`; networks that are not awaited are made in threads."""
        made = networks if isinstance(networks, AsyncIterable) else _in_threads(networks)
        if self._remote is None:
            async for network in made:
                for result in await self.evaluate_batch((network,), chip, detail):
                    yield result
            return

        async def requests() -> AsyncIterator[Any]:
            carried: ChipConfig | str | None = chip
            async for network in made:
                yield stream_to_pb(network, carried, detail)
                carried = None  # the first request alone carries the chip

        async with aclosing(self._remote.stream(self._stub.EvaluateStream, requests())) as responses:
            async for response in responses:
                yield result_from_pb(response.result)

    async def validate(
        self, layers: LayerList, chip: ChipConfig | str = ChipConfig()
    ) -> tuple[ErrorReport, ...]:
        """As `HwOracle.validate`."""
        return await self._do(calls.validate, layers, chip)

    async def chips(self) -> tuple[ChipInfo, ...]:
        """As `HwOracle.chips`."""
        return await self._do(calls.chips)

    async def chip(self, name: str) -> ChipConfig:
        """As `HwOracle.chip`."""
        return await self._do(calls.chip, name)

    async def info(self) -> OracleInfo:
        """As `HwOracle.info`."""
        return await self._do(calls.info)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._remote is not None:
            await self._remote.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _do(self, make: Callable[P, calls.Call[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._remote is None:
            return await asyncio.to_thread(getattr(self._local, make.__name__), *args, **kwargs)
        call = make(*args, **kwargs)
        try:
            method, request = next(call)
            while True:
                method, request = call.send(await self._remote.call(getattr(self._stub, method), request))
        except StopIteration as done:
            return cast("T", done.value)


def _local() -> ModuleType:
    """Import the oracle of this process, which needs more than a client has."""
    with extra("oracle"):
        from services.hw_oracle import local
    return local


async def _in_threads(items: Iterable[T]) -> AsyncIterator[T]:
    """Take the items one by one, each in a thread, so that making one does not hold up the loop."""
    iterator, end = iter(items), object()
    while (item := await asyncio.to_thread(next, iterator, end)) is not end:
        yield cast("T", item)
