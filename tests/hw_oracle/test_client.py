"""One oracle, wherever it is: in this process and over gRPC it answers and refuses alike."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.candidate import Block, BlockType, Candidate, candidate_layers
from services.common.errors import (
    ChipTooSmall,
    ImcnasError,
    InvalidCandidate,
    InvalidRequest,
    NotFound,
    Unavailable,
    error_report,
)
from services.common.layers import Conv2d, LayerList, Linear, Shape, macs, params
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.rpc.limits import MAX_MESSAGE_BYTES
from services.common.settings import OracleSettings
from services.common.space import load_space
from services.hw_oracle import cost
from services.hw_oracle.client import AsyncHwOracle, HwOracle
from services.hw_oracle.convert import MAX_BATCH_LAYERS, MAX_NETWORKS, batches_to_pb
from services.hw_oracle.server import oracle_server
from services.hw_oracle.types import ChipConfig, Detail, Placement, chip_hash
from services.hw_oracle.version import MODEL_VERSION

NETWORK = LayerList(
    input_shape=Shape(channels=3, height=8, width=8),
    layers=(
        Conv2d(inputs=(-1,), out_channels=16, kernel_size=3, padding=1),
        Linear(inputs=(0,), out_features=10),
    ),
)
ONE_TILE = ChipConfig(grid_rows=1, grid_columns=1, placement=Placement.NONE)


@pytest.fixture(scope="module")
def address(host: Any, any_ports: dict[str, Any]) -> str:
    return f"127.0.0.1:{host.start(oracle_server(OracleSettings(**any_ports))).calls}"


class Awaited:
    """An AsyncHwOracle whose calls are waited for."""

    def __init__(self, address: str | None) -> None:
        self.loop = asyncio.new_event_loop()
        self.oracle = self.loop.run_until_complete(self._make(address))

    async def _make(self, address: str | None) -> AsyncHwOracle:
        return AsyncHwOracle(address)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            made = getattr(self.oracle, name)(*args, **kwargs)
            return self.loop.run_until_complete(made if asyncio.iscoroutine(made) else self._list(made))

        return call

    async def _list(self, items: Any) -> list[Any]:
        return [item async for item in items]


@pytest.fixture(scope="module", params=["in process", "over gRPC", "asyncio", "asyncio over gRPC"])
def oracle(request: pytest.FixtureRequest, address: str) -> Iterator[Any]:
    to = address if "over gRPC" in request.param else None
    if "asyncio" not in request.param:
        with HwOracle(to) as oracle:
            yield oracle
        return
    awaited = Awaited(to)
    yield awaited
    awaited.close()
    awaited.loop.close()


def test_a_report_is_the_cores_own(oracle: HwOracle) -> None:
    assert oracle.evaluate(NETWORK, ChipConfig()) == cost.evaluate(NETWORK, ChipConfig())


@given(
    st.lists(st.builds(Block, st.sampled_from(BlockType), st.integers(1, 64)), min_size=1, max_size=3),
    st.floats(100, 1000),
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_candidate_on_any_clock_costs_what_the_core_says(
    oracle: HwOracle, blocks: list[Block], clock_mhz: float
) -> None:
    shape = Shape(channels=1, height=8, width=8)
    layers = candidate_layers(Candidate(blocks=tuple(blocks)), shape, 10)
    chip = ChipConfig(clock_mhz=clock_mhz)
    assert oracle.evaluate(layers, chip) == cost.evaluate(layers, chip)


def test_every_preset_that_it_names_can_be_asked_for(oracle: HwOracle) -> None:
    info = oracle.info()
    assert info.model_version == MODEL_VERSION
    assert info.presets
    for name in info.presets:
        assert oracle.evaluate(NETWORK, name).model_version == info.model_version


@pytest.mark.parametrize("name", ["", "mnsim", "/etc/passwd", "x.toml"])
def test_an_unknown_preset_is_not_found_and_no_file_is_read(oracle: HwOracle, name: str) -> None:
    with pytest.raises(NotFound) as caught:
        oracle.evaluate(NETWORK, name)
    assert [v.field for v in caught.value.violations] == ["preset"]


def test_a_network_that_does_not_fit_is_refused_with_the_same_words(oracle: HwOracle) -> None:
    wide = LayerList(
        input_shape=Shape(channels=512, height=4, width=4),
        layers=(Conv2d(inputs=(-1,), out_channels=512, kernel_size=3),),
    )
    with pytest.raises(ChipTooSmall) as core:
        cost.evaluate(wide, ONE_TILE)
    with pytest.raises(ChipTooSmall) as caught:
        oracle.evaluate(wide, ONE_TILE)
    assert (caught.value.message, caught.value.violations) == (core.value.message, core.value.violations)


def test_nobody_there_is_unavailable_and_names_address_and_fix() -> None:
    with (
        HwOracle("127.0.0.1:1", timeout_s=5) as oracle,
        pytest.raises(Unavailable, match=r"nothing answers at 127.0.0.1:1 .*start the service"),
    ):
        oracle.info()


@pytest.mark.parametrize("address", ["", "host", "host:", "http://host:1", "host:x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="host:port"):
        HwOracle(address)


def test_an_asyncio_client_that_is_closed_or_finds_nobody_says_so(address: str) -> None:
    async def ask() -> None:
        async with AsyncHwOracle(address) as oracle:
            await oracle.info()
        with pytest.raises(Unavailable, match="is closed"):
            await oracle.info()
        async with AsyncHwOracle("127.0.0.1:1", timeout_s=5) as nobody:
            with pytest.raises(Unavailable, match="nothing answers"):
                await nobody.info()

    asyncio.run(ask())


def test_a_client_that_is_closed_says_so(address: str) -> None:
    oracle = HwOracle(address)
    oracle.close()
    oracle.close()
    with pytest.raises(Unavailable, match="is closed"):
        oracle.info()
    with pytest.raises(Unavailable, match="is closed"):
        oracle.evaluate(NETWORK)


@pytest.mark.parametrize("detail", Detail)
def test_a_detail_is_the_cores_own(oracle: Any, detail: Detail) -> None:
    assert oracle.evaluate(NETWORK, ChipConfig(), detail) == cost.evaluate(NETWORK, ChipConfig(), detail)


WIDE = LayerList(
    input_shape=Shape(channels=512, height=4, width=4),
    layers=(Conv2d(inputs=(-1,), out_channels=512, kernel_size=3),),
)
SMALL_GRID = ChipConfig(grid_rows=3, grid_columns=3)


def outcomes(results: Any) -> list[Any]:
    """Reports, and errors by what they say."""
    return [(type(r), str(r), r.violations) if isinstance(r, Exception) else r for r in results]


@pytest.mark.parametrize("detail", Detail)
def test_a_batch_and_a_stream_give_each_its_report_or_error(oracle: Any, detail: Detail) -> None:
    networks = [NETWORK, WIDE, NETWORK]
    wanted = outcomes(cost.evaluate_batch(networks, SMALL_GRID, detail))
    assert outcomes(oracle.evaluate_batch(networks, SMALL_GRID, detail)) == wanted
    assert outcomes(oracle.evaluate_stream(iter(networks), SMALL_GRID, detail)) == wanted
    assert oracle.evaluate_batch([]) == list(oracle.evaluate_stream([])) == []


def test_a_batch_of_any_size_is_sent_in_parts(oracle: Any) -> None:
    found = oracle.evaluate_batch([NETWORK] * 2_345)
    assert len(found) == 2_345
    assert set(found) == {cost.evaluate(NETWORK, detail=Detail.TOTALS)}


def test_no_part_of_a_batch_is_too_large_to_be_answered() -> None:
    deep = LayerList(
        input_shape=Shape(channels=1, height=1, width=1),
        layers=tuple(Linear(inputs=(i - 1,), out_features=1) for i in range(300)),
    )
    parts = [len(r.networks) for r in batches_to_pb([deep] * 150 + [NETWORK] * 2_000, "", Detail.MODULES)]
    assert parts == [53, 53, 1000, 1000, 44]
    layer, report = fullest(pb.LayerCost), fullest(pb.CostReport)
    most = MAX_NETWORKS * (report + 10) + MAX_BATCH_LAYERS * (layer + 5)  # with tags and lengths
    assert most < MAX_MESSAGE_BYTES


def fullest(message: Any) -> int:
    """Bytes of the largest message of its class without repeated fields."""
    size = 0
    for field in message.DESCRIPTOR.fields:
        if field.message_type and not field.is_repeated:
            size += 4 + fullest(getattr(pb, field.message_type.name))
        else:
            size += 2 + {field.TYPE_INT64: 10, field.TYPE_DOUBLE: 8}.get(field.type, 1 + 64)
    return size


def test_candidates_cost_what_their_networks_cost(oracle: Any) -> None:
    space, rng, shape = load_space("small"), Random(0), Shape(channels=1, height=8, width=8)
    drawn = [space.sample(rng) for _ in range(300)]
    chip = ChipConfig(grid_rows=5, grid_columns=3)
    costs = oracle.evaluate_candidates(space, drawn, shape, 10, chip)
    failed = {e.index: e.error for e in costs.errors}
    assert 0 < len(failed) < 300
    for i, candidate in enumerate(drawn):
        network = candidate_layers(candidate, shape, 10)
        (report,) = cost.evaluate_batch([network], chip)
        if isinstance(report, ImcnasError):
            assert failed[i] == error_report(report)
            assert math.isnan(costs.latency_ns[i])
            assert costs.tiles[i] == 0
            continue
        found = (costs.latency_ns[i], costs.energy_nj[i], costs.area_um2[i], costs.power_w[i])
        assert found == (report.latency_ns, report.energy_nj, report.area_um2, report.power_w)
        counts = (costs.tiles[i], costs.crossbars[i], costs.macs[i], costs.params[i])
        assert counts == (report.tiles, report.crossbars, macs(network), params(network))
    assert (costs.model_version, costs.chip_hash) == (MODEL_VERSION, chip_hash(chip))


def test_candidates_beyond_one_request_are_sent_in_parts(oracle: Any) -> None:
    space, shape = load_space("small"), Shape(channels=1, height=8, width=8)
    drawn = [space.candidate_at(i % space.count()) for i in range(10_001)]
    costs = oracle.evaluate_candidates(space, drawn, shape, 10)
    assert len(costs.latency_ns) == 10_001
    assert costs.latency_ns[0] == costs.latency_ns[space.count()]
    assert oracle.evaluate_candidates(space, [], shape, 10).latency_ns == ()


def test_a_candidate_of_another_space_or_images_that_fit_none_are_refused(oracle: Any) -> None:
    space, stranger = load_space("small"), load_space("paper").candidate_at(17)
    square, oblong = Shape(channels=1, height=8, width=8), Shape(channels=1, height=8, width=9)
    with pytest.raises(InvalidCandidate, match=r"candidates\[1\]\.blocks\[0\]\.kernels"):
        oracle.evaluate_candidates(space, [space.candidate_at(0), stranger], square, 10)
    for shape, classes in ((oblong, 10), (square, 1)):
        with pytest.raises(InvalidCandidate):
            oracle.evaluate_candidates(space, [space.candidate_at(0)], shape, classes)


def test_validate_says_what_evaluate_would(oracle: Any) -> None:
    assert oracle.validate(NETWORK) == ()
    (error,) = oracle.validate(WIDE, ONE_TILE)
    assert error.reason == ChipTooSmall.reason


def test_every_chip_that_it_lists_it_knows(oracle: Any) -> None:
    listed = oracle.chips()
    assert [chip.name for chip in listed] == sorted(oracle.info().presets)
    for info in listed:
        assert info.title
        assert chip_hash(oracle.chip(info.name)) == info.chip_hash
    with pytest.raises(NotFound):
        oracle.chip("nobody")


def test_any_number_of_calls_may_be_begun_at_once(address: str) -> None:
    async def ask() -> list[Any]:
        async with AsyncHwOracle(address) as oracle:
            return await asyncio.gather(
                *(oracle.evaluate(NETWORK, detail=Detail.TOTALS) for _ in range(1000))
            )

    assert len(set(asyncio.run(ask()))) == 1


def test_what_is_no_network_chip_or_candidate_is_refused_by_name(oracle: Any) -> None:
    shape, space = Shape(channels=1, height=8, width=8), load_space("small")
    for call, field in (
        (lambda: oracle.evaluate("VGG16-RES32"), "layers"),
        (lambda: oracle.evaluate(NETWORK, None), "chip"),
        (lambda: oracle.evaluate_batch([NETWORK, "x"]), "layers"),
        (lambda: oracle.evaluate_candidates(space, ["VGG16"], shape, 10), "candidates\\[0\\]"),
    ):
        with pytest.raises(InvalidRequest, match=f"^{field}: got"):
            call()


def test_both_clients_have_the_same_calls() -> None:
    def signatures(cls: type) -> dict[str, Any]:
        public = {n: f for n, f in inspect.getmembers(cls, inspect.isfunction) if not n.startswith("_")}
        return {n: inspect.signature(f).parameters for n, f in public.items()}

    assert signatures(HwOracle) == signatures(AsyncHwOracle)
