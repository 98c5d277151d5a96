"""One oracle, wherever it is: in this process and over gRPC it answers and refuses alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.candidate import Block, BlockType, Candidate, candidate_layers
from services.common.errors import ChipTooSmall, InvalidRequest, NotFound, Unavailable
from services.common.layers import Conv2d, LayerList, Linear, Shape
from services.common.settings import OracleSettings
from services.hw_oracle import cost
from services.hw_oracle.client import HwOracle
from services.hw_oracle.server import oracle_server
from services.hw_oracle.types import ChipConfig, Placement
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


@pytest.fixture(scope="module", params=["in process", "over gRPC"])
def oracle(request: pytest.FixtureRequest, address: str) -> Iterator[HwOracle]:
    with HwOracle(address if request.param == "over gRPC" else None) as oracle:
        yield oracle


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


def test_a_client_that_is_closed_says_so(address: str) -> None:
    oracle = HwOracle(address)
    oracle.close()
    oracle.close()
    with pytest.raises(Unavailable, match="is closed"):
        oracle.info()
    with pytest.raises(Unavailable, match="is closed"):
        oracle.evaluate(NETWORK)
