"""Each remote call of an oracle without its transport: what is sent, and what is made of the answers.

A call is a generator that yields the name of a method and a request, is sent the response, and returns the
result. Who awaits responses and who waits for them can drive the same call.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from services.common.candidate import Candidate
from services.common.convert import from_pb
from services.common.errors import ErrorReport, ImcnasError
from services.common.layers import Bits, LayerList, Shape
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.space import SearchSpace, number_blocks
from services.hw_oracle.convert import (
    batches_to_pb,
    candidates_to_pb,
    evaluate_to_pb,
    result_from_pb,
    validate_to_pb,
)
from services.hw_oracle.info import ChipInfo, OracleInfo
from services.hw_oracle.types import CandidateCosts, ChipConfig, CostReport, Detail, merge_costs

T = TypeVar("T")
Call = Generator[tuple[str, Any], Any, T]


def evaluate(layers: LayerList, chip: ChipConfig | str, detail: Detail) -> Call[CostReport]:
    """As `services.hw_oracle.client.HwOracle.evaluate`, and so on."""
    response = yield "Evaluate", evaluate_to_pb(layers, chip, detail)
    return from_pb(response.report, CostReport)


def evaluate_batch(
    networks: Sequence[LayerList], chip: ChipConfig | str, detail: Detail
) -> Call[list[CostReport | ImcnasError]]:
    """In several requests where one would be too large."""
    found: list[CostReport | ImcnasError] = []
    for request in batches_to_pb(networks, chip, detail):
        response = yield "BatchEvaluate", request
        found += map(result_from_pb, response.results)
    return found


def evaluate_candidates(
    space: SearchSpace,
    candidates: Sequence[Candidate],
    input_shape: Shape,
    classes: int,
    chip: ChipConfig | str,
    bits: Bits,
) -> Call[CandidateCosts]:
    """In several requests where one would have too many."""
    depths, choices = number_blocks(space, candidates)
    parts = []
    for request in candidates_to_pb(space, depths, choices, input_shape, classes, chip, bits):
        response = yield "EvaluateCandidates", request
        parts.append(from_pb(response.costs, CandidateCosts))
    return merge_costs(parts)


def validate(layers: LayerList, chip: ChipConfig | str) -> Call[tuple[ErrorReport, ...]]:
    """Of the network and the chip by themselves the service says what their constructors would."""
    response = yield "Validate", validate_to_pb(layers, chip)
    return tuple(from_pb(error, ErrorReport) for error in response.errors)


def chips() -> Call[tuple[ChipInfo, ...]]:
    """By name."""
    response = yield "ListChips", pb.HwOracleServiceListChipsRequest()
    return tuple(from_pb(chip, ChipInfo) for chip in response.chips)


def chip(name: str) -> Call[ChipConfig]:
    """Without its title."""
    response = yield "GetChip", pb.HwOracleServiceGetChipRequest(name=name)
    return from_pb(response.config, ChipConfig)


def info() -> Call[OracleInfo]:
    """Versions and presets."""
    response = yield "GetServerInfo", pb.HwOracleServiceGetServerInfoRequest()
    return from_pb(response.info, OracleInfo)
