"""What fuzzing found, each once: requests that crashed, hung, filled the memory or were answered wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import pytest

from services.common.candidate import Candidate, Head
from services.common.convert import from_pb, plans, to_pb
from services.common.errors import InvalidRequest
from services.common.layers import Bits, LayerList, Shape
from services.common.pb.imcnas.v1 import candidate_pb2, network_pb2
from services.common.space import SearchSpace, load_space
from services.hw_oracle import cost
from services.hw_oracle.candidates import NumberedCandidates
from services.hw_oracle.convert import bodies_of
from services.hw_oracle.types import ChipConfig, EnergyBreakdown
from services.searcher.types import StudyConfig
from services.trainer.types import EvaluationRequest

SHAPE = network_pb2.Shape(channels=1, height=8, width=8)


def test_bytes_in_a_number_s_place_are_no_zero() -> None:
    conv = network_pb2.Conv2d(inputs=[-1], out_channels=4, kernel_size=3, padding=1)
    empty_padding = b"\x2a\x00"  # field 5, of no bytes: what protobuf keeps as unknown
    layer = network_pb2.Layer(conv2d=network_pb2.Conv2d.FromString(conv.SerializeToString() + empty_padding))
    sound = network_pb2.LayerList(input_shape=SHAPE, layers=[network_pb2.Layer(conv2d=conv)])
    odd = network_pb2.LayerList(input_shape=SHAPE, layers=[layer])
    (wanted,) = cost.cost_messages(*bodies_of([sound]), ChipConfig())
    assert wanted is not None
    assert cost.cost_messages(*bodies_of([odd]), ChipConfig()) in ([None], [wanted])


def test_an_adder_that_takes_nearly_all_energy_costs_the_total_no_digits() -> None:
    assert EnergyBreakdown(adder_nj=1e12, dac_nj=0.1, adc_nj=0.2).total_nj == 0.1 + 0.2


@pytest.mark.parametrize("depths", [[2**62] * 4 * 63 + [100], [-(2**63)], [0], [65], [2**63 - 1, 1]])
def test_depths_that_no_candidate_has_are_refused_before_any_memory_is_taken(depths: list[int]) -> None:
    """The first add up to 100 in 64 bits: the kernel wrote blocks of 63 candidates to the room of one."""
    with pytest.raises(InvalidRequest, match=r"depths\[0\]: got .*, wanted 1 to 64 blocks"):
        numbered(np.array(depths), np.zeros(100, np.int64))


def numbered(depths: Any, choices: Any, **given: Any) -> NumberedCandidates:
    fields: dict[str, Any] = {
        "space": load_space("small"),
        "input_shape": Shape(channels=1, height=8, width=8),
        "classes": 10,
        "bits": Bits(),
        "chip": ChipConfig(),
    }
    return NumberedCandidates(**fields | given, depths=depths, choices=choices)


def test_a_head_that_is_too_long_is_refused_unread() -> None:
    head = candidate_pb2.Head(hidden_features=[1] * 65)
    with pytest.raises(
        InvalidRequest, match=r"space.head.hidden_features: got '65 items', wanted at most 64"
    ):
        from_pb(head, Head, "space.head")
    assert to_pb(Head(), candidate_pb2.Head).hidden_features == [200, 50]


def repeated_fields(cls: Any, path: str = "") -> Iterator[tuple[str, int | None]]:
    for plan in plans(cls):
        if plan.repeated:
            yield f"{cls.__name__}.{plan.name}", plan.most
        for inner in (*plan.kinds.values(), *([plan.type] if is_dataclass(plan.type) else [])):
            yield from repeated_fields(inner)


@pytest.mark.parametrize(
    "cls", [LayerList, SearchSpace, Candidate, ChipConfig, EvaluationRequest, StudyConfig]
)
def test_every_list_that_is_read_off_the_wire_has_a_bound(cls: Any) -> None:
    assert [name for name, most in repeated_fields(cls) if most is None] == []
