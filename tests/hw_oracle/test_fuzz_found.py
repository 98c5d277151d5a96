"""What fuzzing found, each once: requests that crashed, hung, filled the memory or were answered wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.common.candidate import BlockType, Candidate, Head
from services.common.codec import from_jsonable, to_jsonable
from services.common.convert import from_pb, plans, to_pb
from services.common.errors import MAX_VIOLATIONS, InvalidInput, InvalidNetwork, InvalidRequest, violation
from services.common.layers import MAX_INPUTS, MAX_LAYERS, Bits, Concat, Conv2d, LayerList, Pool2d, Shape
from services.common.network_json import network_from_json
from services.common.pb.imcnas.v1 import candidate_pb2, network_pb2
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as oracle_pb2
from services.common.space import SearchSpace, load_space
from services.hw_oracle import reference
from services.hw_oracle.candidates import NumberedCandidates, cost_chunk
from services.hw_oracle.compiled.pack import pack_chip
from services.hw_oracle.compiled.run import run_messages
from services.hw_oracle.convert import (
    MAX_CHIP_BYTES,
    MAX_NETWORK_BYTES,
    _config,
    bodies_of,
    chip_from_pb,
)
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
    (wanted,) = run_messages(*bodies_of([sound]), pack_chip(ChipConfig()))
    assert wanted is not None
    assert run_messages(*bodies_of([odd]), pack_chip(ChipConfig())) in ([None], [wanted])


@pytest.mark.parametrize("detail", Detail)
def test_networks_that_only_the_reference_reads_are_not_taken_for_each_other(detail: Detail) -> None:
    """Kept in the cache as the network without layers, the first one's report was given for all others."""
    evaluations = Evaluations(OracleMetrics(CollectorRegistry()), 1000)

    def evaluate(channels: int) -> Any:
        conv = network_pb2.Conv2d(inputs=[-1], out_channels=channels, kernel_size=3)
        unknown = b"\xfa\x3f\x01x"  # field 1023, beside the layer's kind
        raw = network_pb2.Layer(conv2d=conv).SerializeToString() + unknown
        network = network_pb2.LayerList(input_shape=SHAPE, layers=[network_pb2.Layer.FromString(raw)])
        return evaluations.one(network, ChipConfig(), detail)

    assert evaluate(4).tiles == 2
    assert evaluate(400).tiles == 4
    with pytest.raises(InvalidNetwork):
        evaluate(0)


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
    reports = run_messages(
        *bodies_of([wide] * 7), pack_chip(ChipConfig()), checkpoint=lambda: looks.append(1)
    )
    assert len(looks) == 2
    assert len(reports) == 7
    assert all(report == reports[0] for report in reports)

    def nobody_waits() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        run_messages(*bodies_of([wide] * 7), pack_chip(ChipConfig()), checkpoint=nobody_waits)


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


def test_a_batch_whose_answer_would_not_fit_into_a_message_is_refused_before_it_is_made() -> None:
    """300 networks of 2500 layers each, in full detail, took 1.8 GB to be told that 188 MB are too many."""
    network = network_pb2.LayerList(input_shape=SHAPE, layers=[network_pb2.Layer()])
    evaluations = Evaluations(OracleMetrics(CollectorRegistry()), 0)
    looks: list[int] = []
    with pytest.raises(InvalidRequest, match=r"networks: .* fewer"):
        evaluations.many([network] * 1000, ChipConfig(), Detail.LAYERS, 5000, lambda: looks.append(1))
    assert len(looks) < 30


def test_a_candidate_s_error_tells_its_first_violations() -> None:
    batch = numbered(np.full(3, 3), np.zeros(9, np.int64), bits=Bits(weight_bits=1))
    errors = cost_chunk(batch).errors
    assert [len(error.error.violations) for error in errors] == [5, 5, 5]
    assert "... and 4 more" in errors[0].error.message


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"bits": Bits(input_bits=0)}, "bits.input_bits"),
        ({"bits": Bits(output_bits=2**21)}, "bits.output_bits"),
        ({"classes": 2**21}, "classes"),
        ({"classes": 1}, "classes"),
        ({"input_shape": Shape(channels=0, height=8, width=8)}, "input_shape.channels"),
    ],
)
def test_what_no_candidate_takes_is_refused_by_its_own_name(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        numbered(np.ones(1, np.int64), np.zeros(1, np.int64), **given)
    assert [v.field for v in caught.value.violations] == [field]


def test_a_network_of_more_bytes_than_any_has_takes_no_memory_in_the_kernel() -> None:
    """Sixteen million inputs of one layer took 128 MB, and the event loop for a second."""
    network = network_pb2.LayerList(input_shape=SHAPE)
    network.layers.add(add=network_pb2.Add(inputs=[0] * (MAX_NETWORK_BYTES + 1)))
    assert bodies_of([network]) == ([b""], 1)
    longest = network_pb2.Layer(add=network_pb2.Add(inputs=[-1] * MAX_INPUTS))
    longest.add.bits.CopyFrom(network_pb2.Bits(input_bits=-1, weight_bits=-1, output_bits=-1))
    network = network_pb2.LayerList(input_shape=SHAPE, layers=[longest] * MAX_LAYERS)
    assert bodies_of([network]) == ([network.SerializeToString()], MAX_LAYERS)


def test_a_chip_with_much_beside_it_is_not_kept() -> None:
    """64 of them, of 16 MB each, would have filled a gigabyte for ever."""
    before = _config.cache_info().currsize
    unknown = b"\xfa\x3f" + b"\xff\xff\x03" + bytes(2**16 - 1)  # field 1023, of 65535 bytes
    request = oracle_pb2.HwOracleServiceEvaluateRequest(config=oracle_pb2.ChipConfig.FromString(unknown))
    assert request.config.ByteSize() > 2**16
    assert chip_from_pb(request) == ChipConfig()
    assert _config.cache_info().currsize == before
    full = to_pb(ChipConfig(), oracle_pb2.ChipConfig)
    assert full.ByteSize() < MAX_CHIP_BYTES / 4


def test_a_name_of_megabytes_is_not_written_out_to_be_cut() -> None:
    class Name(str):
        def __repr__(self) -> str:
            raise AssertionError

    assert violation("preset", Name("x" * 10**6), "another").description.startswith("got 'xxx")


@pytest.mark.parametrize(
    "read", [network_from_json, lambda table: from_jsonable(SearchSpace, table)], ids=["network", "space"]
)
def test_of_many_unknown_fields_the_first_are_told(read: Callable[[Any], Any]) -> None:
    """Each was compared with all known names: ten seconds for a file of a megabyte."""
    with pytest.raises(InvalidInput) as caught:
        read({f"input{i}": 0 for i in range(200_000)})
    assert len(caught.value.violations) == MAX_VIOLATIONS


def test_a_space_of_many_kernel_counts_makes_its_choices_once() -> None:
    """Of 12,288 choices each candidate that failed made all, thrice: a batch took minutes."""
    space = SearchSpace(
        block_types=tuple(BlockType), kernel_counts=tuple(range(1, 4097)), min_depth=1, max_depth=64
    )
    assert space.choices is space.choices
    assert len(space.choices) == 12_288
    assert "choices" not in repr(space)
    assert from_jsonable(SearchSpace, to_jsonable(space)) == space
