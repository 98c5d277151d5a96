"""Whatever arrives, the fast ways to a cost and the slow one agree, and the kernel stays in its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.candidate import BlockType, Head, Projection, candidate_layers
from services.common.convert import to_pb
from services.common.errors import ImcnasError
from services.common.layers import Bits, Shape, macs, params
from services.common.pb.imcnas.v1 import network_pb2
from services.common.space import SearchSpace
from services.hw_oracle import cost
from services.hw_oracle.candidates import NumberedCandidates, cost_chunk
from services.hw_oracle.types import CANDIDATE_COLUMNS, ChipConfig, Detail
from tests.fuzz.agree import check_agreement, check_equal
from tests.fuzz.extremes import extreme_networks
from tests.fuzz.messages import changed, damaged, messages
from tests.hw_oracle import random_chips, varied_chips
from tests.hw_oracle.networks import networks

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))

LARGE = varied_chips.chips(tight=True).map(lambda chip: replace(chip, grid_rows=1024, grid_columns=1024))
CHIPS = LARGE | varied_chips.chips(tight=True) | random_chips.chips()
SOUND = networks().map(lambda network: to_pb(network, network_pb2.LayerList))


@settings(max_examples=EXAMPLES)
@given(SOUND, random_chips.chips())
def test_networks_on_chips_at_every_limit(message: network_pb2.LayerList, chip: ChipConfig) -> None:
    check_agreement(message, chip)


@settings(max_examples=2 * EXAMPLES)
@given(SOUND.flatmap(changed), varied_chips.chips(tight=True))
def test_networks_with_some_fields_changed(message: network_pb2.LayerList, chip: ChipConfig) -> None:
    check_agreement(message, chip)


@settings(max_examples=2 * EXAMPLES)
@given(extreme_networks().map(lambda network: to_pb(network, network_pb2.LayerList)), CHIPS)
def test_networks_of_extreme_sizes(message: network_pb2.LayerList, chip: ChipConfig) -> None:
    check_agreement(message, chip)


@settings(max_examples=EXAMPLES)
@given(messages(network_pb2.LayerList.DESCRIPTOR))
def test_messages_from_scratch(message: network_pb2.LayerList) -> None:
    check_agreement(message, ChipConfig())


@settings(max_examples=EXAMPLES)
@given(SOUND.flatmap(lambda message: damaged(message.SerializeToString())))
def test_damaged_bytes_that_are_still_a_message(raw: bytes) -> None:
    try:
        message = network_pb2.LayerList.FromString(raw)
    except DecodeError:
        return
    check_agreement(message, ChipConfig())


def some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


SPACES = st.builds(
    SearchSpace,
    block_types=st.lists(some(*BlockType), min_size=1, max_size=3, unique=True).map(tuple),
    kernel_counts=some(tuple(range(1, 4097)), (1,), (4096, 1))
    | st.lists(some(1, 2, 3, 64, 255, 256, 257, 4096), min_size=1, max_size=4, unique=True).map(tuple),
    min_depth=some(1, 1, 1, 2),
    max_depth=some(2, 5, 64),
    head=st.builds(Head, hidden_features=some((), (1,), (200, 50), (65536,), (1,) * 64, (7,) * 64)),
    projection=some(*Projection),
)
IMAGES = st.builds(
    lambda channels, side: Shape(channels=channels, height=side, width=side),
    some(1, 3, 255, 4096, 2**20),
    some(2, 2, 3, 4, 5, 7, 8, 28, 32, 63, 64, 300, 70_000),
)
WIDTHS = st.builds(
    Bits, input_bits=some(1, 9, 64, 65), weight_bits=some(1, 2, 9, 64, 65), output_bits=some(1, 9)
)


@st.composite
def batches(draw: st.DrawFn) -> NumberedCandidates:
    space = draw(SPACES)
    depths = draw(st.lists(some(1, 1, 2, 3, 5, 64), max_size=3))
    known = st.integers(0, len(space.choices) - 1)
    choices = [draw(known) for depth in depths for _ in range(depth)]
    if choices and not draw(st.integers(0, 5)):
        choices[draw(st.integers(0, len(choices) - 1))] = draw(some(-1, len(space.choices), 2**62, -(2**63)))
    return NumberedCandidates(
        space=space,
        input_shape=draw(IMAGES),
        classes=draw(some(2, 10, 1000, 65536, 65537, 2**20)),
        bits=draw(st.just(Bits()) | WIDTHS),
        chip=draw(LARGE | varied_chips.chips(tight=True)),
        depths=np.array(depths, np.int64),
        choices=np.array(choices, np.int64),
    )


@settings(max_examples=EXAMPLES)
@given(batches())
def test_candidates_cost_what_their_networks_cost(batch: NumberedCandidates) -> None:
    costs = cost_chunk(batch)
    errors, choices = {error.index: error.error for error in costs.errors}, iter(batch.choices.tolist())
    for i, depth in enumerate(batch.depths.tolist()):
        own = [next(choices) for _ in range(depth)]
        got = {name: getattr(costs, name)[i] for name in CANDIDATE_COLUMNS}
        try:
            wanted = cost_of(batch, own)
        except (ImcnasError, IndexError):
            assert i in errors
            assert np.isnan(got["latency_ns"])
        else:
            assert i not in errors
            check_equal(got, wanted, f"costs[{i}]")


def cost_of(batch: NumberedCandidates, choices: list[int]) -> dict[str, Any]:
    if min(choices) < 0:
        raise IndexError
    candidate = batch.space.candidate(tuple(batch.space.choices[choice] for choice in choices))
    batch.space.check(candidate)
    network = candidate_layers(candidate, batch.input_shape, batch.classes, batch.bits)
    report = cost.evaluate(network, batch.chip, Detail.TOTALS)
    totals = {name: getattr(report, name) for name in CANDIDATE_COLUMNS[:6]}
    return totals | {"macs": macs(network), "params": params(network)}


def test_no_index_leaves_its_array_and_no_integer_its_64_bits() -> None:
    """As Python, where that raises; machine code would write beside its memory and go on."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-m", "tests.fuzz.kernel_bounds"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("holds") == 5
