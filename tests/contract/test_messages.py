"""The wire contract and the dataclasses say the same, in the same words."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.candidate import (
    MAX_KERNELS,
    Block,
    BlockType,
    Candidate,
    Head,
    Projection,
    candidate_layers,
)
from services.common.convert import Plan, enum_prefix, from_pb, plans, to_pb
from services.common.layers import Add, Bits, Concat, Conv2d, LayerList, Linear, Multiply, Pool2d, Shape
from services.common.pb.imcnas.v1 import (
    candidate_pb2,
    error_pb2,
    hw_oracle_pb2,
    network_pb2,
    searcher_pb2,
    trainer_pb2,
)
from services.common.space import SearchSpace
from services.hw_oracle.info import ChipInfo, OracleInfo
from services.hw_oracle.types import CandidateCosts, ChipConfig, CostReport, GroupedMapping, Pipeline
from services.searcher.types import (
    HardwareLimits,
    OnChip,
    StudyConfig,
    StudyStatus,
    StudySummary,
    TrainingLimits,
    Trial,
)
from services.trainer.analog_types import AdcMode, AnalogConfig, ChipDraw, OnChipReport, OnChipRequest
from services.trainer.types import (
    AccuracyReport,
    DatasetInfo,
    EpochReport,
    EvaluationRequest,
    Queued,
    TrainerInfo,
    TrainRecipe,
)

FILES = tuple(
    m.DESCRIPTOR for m in (network_pb2, candidate_pb2, error_pb2, hw_oracle_pb2, trainer_pb2, searcher_pb2)
)
MESSAGES = tuple(m for f in FILES for m in f.message_types_by_name.values())
ENUMS = tuple(e for f in FILES for e in f.enum_types_by_name.values())
SERVICES = tuple(s for f in FILES for s in f.services_by_name.values())
METHODS = tuple(m for s in SERVICES for m in s.methods)

ROOTS: dict[type, type[Message]] = {
    LayerList: network_pb2.LayerList,
    Candidate: candidate_pb2.Candidate,
    SearchSpace: candidate_pb2.SearchSpace,
    ChipConfig: hw_oracle_pb2.ChipConfig,
    CostReport: hw_oracle_pb2.CostReport,
    CandidateCosts: hw_oracle_pb2.CandidateCosts,
    OracleInfo: hw_oracle_pb2.OracleInfo,
    ChipInfo: hw_oracle_pb2.ChipInfo,
    DatasetInfo: trainer_pb2.DatasetInfo,
    TrainRecipe: trainer_pb2.TrainRecipe,
    EvaluationRequest: trainer_pb2.TrainerServiceEvaluateRequest,
    Queued: trainer_pb2.Queued,
    EpochReport: trainer_pb2.EpochReport,
    AccuracyReport: trainer_pb2.AccuracyReport,
    OnChipRequest: trainer_pb2.EvaluateOnChipRequest,
    ChipDraw: trainer_pb2.ChipDraw,
    OnChipReport: trainer_pb2.OnChipReport,
    TrainerInfo: trainer_pb2.TrainerInfo,
    StudyConfig: searcher_pb2.StudyConfig,
    Trial: searcher_pb2.Trial,
    StudyStatus: searcher_pb2.StudyStatus,
    StudySummary: searcher_pb2.StudySummary,
}

UNITS = {"ns", "s", "nj", "um2", "w", "nm", "mhz", "v", "ohm", "kb", "gbps", "gsps", "hops", "frac", "nats"}
UNITS |= {"at"}  # Unix time in seconds
DIMENSIONLESS = {"learning_rate", "momentum", "weight_decay", "fitness", "on_off_ratio"}

F = FieldDescriptor
PROTO_TYPES = {int: F.TYPE_INT64, float: F.TYPE_DOUBLE, bool: F.TYPE_BOOL, str: F.TYPE_STRING}


def mirrored(cls: type, message: Descriptor) -> Iterator[tuple[type, Descriptor]]:
    """Yield a dataclass with its message, and those of its fields."""
    yield cls, message
    for plan in plans(cls):
        inner = message.fields_by_name[plan.name].message_type
        if plan.kinds:
            for name, kind in plan.kinds.items():
                yield from mirrored(kind, inner.fields_by_name[name].message_type)
        elif is_dataclass(plan.type):
            yield from mirrored(plan.type, inner)


PAIRS = {
    message.name: (cls, message)
    for root, pb in ROOTS.items()
    for cls, message in mirrored(root, pb.DESCRIPTOR)
}


@pytest.mark.parametrize(("cls", "message"), PAIRS.values(), ids=PAIRS)
def test_a_message_has_its_dataclass_fields_with_equal_names_and_types(
    cls: type, message: Descriptor
) -> None:
    assert [f.name for f in message.fields] == [p.name for p in plans(cls)]
    for plan in plans(cls):
        field = message.fields_by_name[plan.name]
        assert field.is_repeated == plan.repeated, plan.name
        if plan.kinds:
            assert [f.name for f in field.message_type.oneofs[0].fields] == list(plan.kinds)
        elif is_dataclass(plan.type):
            assert field.message_type is not None, plan.name
        elif issubclass(plan.type, StrEnum):
            names = [v.name.removeprefix(enum_prefix(field.enum_type)) for v in field.enum_type.values]
            assert sorted(names) == sorted(["UNSPECIFIED", *plan.type.__members__])
        else:
            assert field.type == PROTO_TYPES[plan.type], plan.name
        if plan.nullable:
            assert field.has_presence, f"{plan.name} must tell nothing from 0"
        if plan.type is str and plan.default is not None:
            assert plan.default() == "", f"{plan.name}: an empty string is sent as nothing"


def test_every_message_is_mirrored_or_belongs_to_one_call() -> None:
    calls = {m.name for method in METHODS for m in (method.input_type, method.output_type)}
    assert {m.name for m in MESSAGES} == set(PAIRS) | calls | {"Layer", "EvaluationResult"}
    assert len(calls) == 2 * len(METHODS)


def test_services_requests_and_responses_are_named_for_what_they_are() -> None:
    assert all(s.name.endswith("Service") for s in SERVICES)
    for method in METHODS:
        short = {method.name, method.containing_service.name + method.name}
        assert method.input_type.name.removesuffix("Request") in short
        assert method.output_type.name.removesuffix("Response") in short


@pytest.mark.parametrize("enum", ENUMS, ids=lambda e: e.name)
def test_an_enum_starts_unspecified_and_carries_its_name_as_prefix(enum: Any) -> None:
    prefix = enum_prefix(enum)
    assert prefix.replace("_", "").lower() == enum.name.lower()
    assert all(v.name.startswith(prefix) for v in enum.values)
    assert enum.values_by_number[0].name == prefix + "UNSPECIFIED"


def test_every_double_names_its_unit() -> None:
    doubles = {f.name for m in MESSAGES for f in m.fields if f.type == F.TYPE_DOUBLE} - DIMENSIONLESS
    assert [name for name in doubles if name.rpartition("_")[2] not in UNITS] == []
    assert not [f.full_name for m in MESSAGES for f in m.fields if f.type == F.TYPE_FLOAT]


def test_no_number_of_a_request_can_be_left_out_unnoticed() -> None:
    def reached(message: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
        if message.name not in seen:
            seen.add(message.name)
            for field in message.fields:
                yield field
                if field.message_type is not None:
                    yield from reached(field.message_type, seen)

    seen: set[str] = set()
    numbers = (F.TYPE_INT64, F.TYPE_DOUBLE, F.TYPE_BOOL)
    silent = [
        field.full_name
        for method in METHODS
        for field in reached(method.input_type, seen)
        if field.type in numbers and not field.is_repeated and not field.has_presence
    ]
    assert silent == ["imcnas.v1.WatchSearchRequest.cursor"]  # nothing seen yet is 0


def test_everything_in_the_protos_has_a_comment() -> None:
    bare = []
    for file in generator().descriptors().file:
        said = {tuple(loc.path) for loc in file.source_code_info.location if loc.leading_comments.strip()}
        for i, message in enumerate(file.message_type):
            paths = [((4, i), message.name)]
            paths += [((4, i, 2, j), f"{message.name}.{f.name}") for j, f in enumerate(message.field)]
            bare += [name for path, name in paths if path not in said]
        for i, enum in enumerate(file.enum_type):
            paths = [((5, i), enum.name), *(((5, i, 2, j), v.name) for j, v in enumerate(enum.value))]
            bare += [name for path, name in paths if path not in said]
        for i, service in enumerate(file.service):
            paths = [((6, i), service.name), *(((6, i, 2, j), r.name) for j, r in enumerate(service.method))]
            bare += [name for path, name in paths if path not in said]
    assert bare == []


def generator() -> ModuleType:
    path = Path(__file__).parents[2] / "protos" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Round trips: values of every mirrored class by its type hints; what a constructor constrains is in MAKERS.

MAKERS: dict[type, st.SearchStrategy[Any]] = {}


def values(cls: Any) -> st.SearchStrategy[Any]:
    """Values of a dataclass, by its hints."""
    if cls in MAKERS:
        return MAKERS[cls]
    limits = {f.name: f.metadata for f in fields(cls)}
    return st.builds(cls, **{plan.name: _value(plan, limits[plan.name]) for plan in plans(cls)})


def _value(plan: Plan, limits: Any) -> st.SearchStrategy[Any]:
    low, high = limits.get("low"), limits.get("high")
    if plan.type is bool:
        made: st.SearchStrategy[Any] = st.booleans()
    elif plan.type is int:
        made = st.integers(-(2**63) if low is None else low, 2**63 - 1 if high is None else high)
    elif plan.type is float:
        made = st.floats(low, high, allow_nan=False)
    elif plan.type is str:
        made = st.text(st.characters(codec="utf-8"), max_size=20)
    elif is_dataclass(plan.type):
        made = values(plan.type)
    else:
        made = st.sampled_from(plan.type)
    if plan.repeated:
        made = st.lists(made, max_size=3).map(tuple)
    return st.none() | made if plan.nullable else made


_count = st.integers(1, 2**40)
_bits = st.builds(Bits, input_bits=st.integers(1, 32), weight_bits=st.integers(1, 32))
_head = st.builds(
    Head,
    hidden_features=st.lists(st.integers(1, 65536), max_size=3).map(tuple),
    dropout_frac=st.floats(0, 0.99),
)
_blocks = st.builds(Block, type=st.sampled_from(BlockType), kernels=st.integers(1, MAX_KERNELS))
_candidates = st.builds(
    Candidate,
    blocks=st.lists(_blocks, min_size=1, max_size=4).map(tuple),
    head=_head,
    projection=st.sampled_from(Projection),
)
_every_kind = LayerList(
    input_shape=Shape(channels=2, height=6, width=8),
    layers=(
        Conv2d(inputs=(-1,), out_channels=4, kernel_size=3, padding=1, groups=2),
        Pool2d(inputs=(-1,), kernel_size=1, stride=1),
        Concat(inputs=(0, 1), bits=Bits(input_bits=1)),
        Add(inputs=(2, 2)),
        Multiply(inputs=(3, 2)),
        Linear(inputs=(4,), out_features=3),
    ),
)
_networks = st.just(_every_kind) | st.builds(
    candidate_layers, _candidates, st.just(Shape(channels=1, height=8, width=8)), st.just(10), _bits
)
_spaces = st.builds(
    SearchSpace,
    block_types=st.permutations(BlockType).map(tuple),
    kernel_counts=st.sets(st.integers(1, MAX_KERNELS), min_size=1, max_size=4).map(tuple),
    min_depth=st.integers(1, 3),
    max_depth=st.integers(3, 6),
    head=_head,
    projection=st.sampled_from(Projection),
)
_recipes = st.builds(
    TrainRecipe,
    name=st.text(max_size=5),
    epochs=st.integers(1, 10_000),
    learning_rate=st.floats(1e-9, 10),
    momentum=st.floats(0, 0.99),
    weight_decay=st.just(0.0),
    shift_px=st.integers(0, 16),
)
_chips = st.just(ChipConfig()) | st.builds(
    ChipConfig,
    clock_mhz=st.floats(0.001, 1e6),
    pipeline=st.sampled_from(Pipeline),
    grouped_mapping=st.sampled_from(GroupedMapping),
)
MAKERS |= {
    Candidate: _candidates,
    LayerList: _networks,
    SearchSpace: _spaces,
    TrainRecipe: _recipes,
    Bits: _bits,
    TrainingLimits: st.builds(TrainingLimits, max_macs=st.none() | _count, max_params=st.none() | _count),
    HardwareLimits: st.builds(
        HardwareLimits, max_latency_ns=st.none() | st.floats(1, 1e9), max_tiles=st.none() | _count
    ),
    ChipConfig: _chips,
    EvaluationRequest: st.builds(
        EvaluationRequest,
        candidate=_candidates,
        dataset=st.text(max_size=5),
        recipe=_recipes,
        seed=st.integers(0, 2**63 - 1),
        request_id=st.text(max_size=5),
    ),
    AnalogConfig: st.builds(
        AnalogConfig,
        rows=st.sampled_from((64, 256)),
        adc_bits=st.integers(4, 8),
        adc_mode=st.sampled_from(AdcMode),
        variation_frac=st.floats(0, 1),
    ),
}
MAKERS[OnChipRequest] = st.builds(
    OnChipRequest,
    evaluation=MAKERS[EvaluationRequest],
    analog=MAKERS[AnalogConfig],
    draws=st.integers(3, 1000),
    seed=st.integers(0, 2**63 - 1),
    exact_draws=st.integers(0, 3),
    images=st.none() | _count,
)
MAKERS[StudyConfig] = st.builds(
    StudyConfig,
    name=st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,19}", fullmatch=True),
    dataset=values(DatasetInfo),
    space=_spaces,
    chip=_chips,
    recipe=_recipes,
    limits=MAKERS[TrainingLimits],
    bits=_bits,
    seed=st.integers(0, 2**31 - 1),
    startup_trials=st.integers(1, 100),
    objective=st.sampled_from(["accuracy/latency", "pareto(accuracy,energy)"]),
    hardware_limits=MAKERS[HardwareLimits],
    on_chip=st.none() | st.builds(OnChip, draws=st.integers(1, 9), images=st.none() | st.integers(1, 9)),
)


@pytest.mark.parametrize("cls", ROOTS, ids=lambda c: c.__name__)
@given(data=st.data())
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_what_is_sent_is_what_arrives(cls: type, data: st.DataObject) -> None:
    value = data.draw(values(cls))
    sent = to_pb(value, ROOTS[cls]).SerializeToString()
    assert from_pb(ROOTS[cls].FromString(sent), cls) == value


def test_an_empty_chip_is_the_default_one() -> None:
    assert from_pb(hw_oracle_pb2.ChipConfig(tile={"pe": {}}), ChipConfig).pipeline is Pipeline.WINDOW
    assert from_pb(hw_oracle_pb2.ChipConfig(grid_rows=8), ChipConfig).grouped_mapping is GroupedMapping.PACKED


def test_not_a_number_arrives_as_such() -> None:
    report = EpochReport(epoch=1, train_loss_nats=math.nan, validation_accuracy_frac=0.1, elapsed_s=1.0)
    assert math.isnan(from_pb(to_pb(report, trainer_pb2.EpochReport), EpochReport).train_loss_nats)
