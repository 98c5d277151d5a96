"""What fuzzing found, each once: requests that crashed, hung, filled the memory or were answered wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.common.candidate import Candidate, Head
from services.common.convert import from_pb, plans, to_pb
from services.common.errors import InvalidRequest
from services.common.layers import Bits, Concat, Conv2d, LayerList, Pool2d, Shape
from services.common.pb.imcnas.v1 import candidate_pb2, network_pb2
from services.common.space import SearchSpace, load_space
from services.hw_oracle import cost, reference
from services.hw_oracle.candidates import NumberedCandidates
from services.hw_oracle.convert import bodies_of
from services.hw_oracle.metrics import OracleMetrics
from services.hw_oracle.placement import positions
from services.hw_oracle.server import SMALL_WORK, Evaluations
from services.hw_oracle.types import (
    ChipConfig,
    CrossbarConfig,
    Detail,
    EnergyBreakdown,
    PeConfig,
    TileConfig,
)
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


def test_a_batch_in_the_kernel_looks_between_steps_whether_anyone_waits() -> None:
    """A hundred networks took ten seconds, whoever had left."""
    wide = network_pb2.LayerList(input_shape=network_pb2.Shape(channels=1, height=2048, width=2048))
    wide.layers.add(conv2d=network_pb2.Conv2d(inputs=[-1], out_channels=1, kernel_size=1))
    looks: list[int] = []
    reports = cost.cost_messages(*bodies_of([wide] * 7), ChipConfig(), checkpoint=lambda: looks.append(1))
    assert len(looks) == 2
    assert len(reports) == 7
    assert len(set(reports)) == 1

    def nobody_waits() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        cost.cost_messages(*bodies_of([wide] * 7), ChipConfig(), checkpoint=nobody_waits)


def test_networks_and_candidates_that_the_reference_costs_are_looked_after_one_by_one() -> None:
    looks: list[int] = []
    network = network_pb2.LayerList(input_shape=SHAPE, layers=[network_pb2.Layer()])
    evaluations = Evaluations(OracleMetrics(CollectorRegistry()), 0)
    evaluations.many([network] * 5, ChipConfig(), Detail.TOTALS, 10_000, lambda: looks.append(1))
    assert len(looks) == 5
    evaluations.many([network] * 5, ChipConfig(), Detail.LAYERS, 10_000, lambda: looks.append(1))
    assert len(looks) == 10
    batch = numbered(np.ones(5, np.int64), np.full(5, -1))
    assert len(evaluations.candidates(batch, lambda: looks.append(1)).errors) == 5
    assert len(looks) == 15


def test_what_is_little_to_read_and_much_to_do_is_left_to_a_thread() -> None:
    """16 KB could hold the event loop for a tenth of a second."""
    wide = network_pb2.LayerList(input_shape=network_pb2.Shape(channels=1, height=134, width=134))
    wide.layers.add(conv2d=network_pb2.Conv2d(inputs=[-1], out_channels=1, kernel_size=1))
    for _ in range(200):
        wide.layers.add(add=network_pb2.Add(inputs=[0] * 64))
    many = network_pb2.LayerList(input_shape=SHAPE)
    many.layers.add(conv2d=network_pb2.Conv2d(inputs=[-1], out_channels=4, kernel_size=3))
    evaluations = Evaluations(OracleMetrics(CollectorRegistry()), 0)
    assert evaluations.totals([wide, many, wide], ChipConfig(), SMALL_WORK)[::2] == [None, None]
    assert None not in evaluations.totals([wide, many, wide], ChipConfig())


def test_a_layer_that_all_tiles_read_through_concats_takes_the_reference_no_minute() -> None:
    """Each of thousands of producers looked at each of a million tiles."""
    pools = [Pool2d(inputs=(-1,), kernel_size=1, stride=1) for _ in range(60)]
    layers = (*pools, Concat(inputs=tuple(range(60))), Conv2d(inputs=(60,), out_channels=40, kernel_size=1))
    network = LayerList(input_shape=Shape(channels=1, height=1, width=1), layers=layers)
    crossbar = CrossbarConfig(rows=1, columns=1, subarray_rows=1)
    chip = ChipConfig(grid_rows=200, grid_columns=200, tile=TileConfig(pes=1, pe=PeConfig(crossbar=crossbar)))
    found = reference.evaluate(network, chip)
    cells = positions(chip, found.tiles).T.tolist()
    for own, layer in zip(cells[:60], found.layers[:60], strict=True):
        far = max(abs(own[0] - row) + abs(own[1] - column) for row, column in cells[60:])
        assert layer.transfer_distance_hops == far
