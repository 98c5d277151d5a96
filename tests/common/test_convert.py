"""Dataclasses and messages, and what is refused between them by its path."""

from __future__ import annotations

import pytest

from services.common.candidate import Block, BlockType, Candidate, Head, Projection
from services.common.convert import from_pb, to_pb
from services.common.errors import InvalidCandidate, InvalidInput, InvalidNetwork
from services.common.layers import Add, Bits, LayerList, Pool2d, PoolMode
from services.common.pb.imcnas.v1 import candidate_pb2, hw_oracle_pb2, network_pb2, searcher_pb2, trainer_pb2
from services.hw_oracle.types import (
    BufferConfig,
    ChipConfig,
    CrossbarConfig,
    DeviceConfig,
    PeConfig,
    TileConfig,
)
from services.searcher.types import TrainingLimits
from services.trainer.types import DatasetInfo, EpochReport, TrainRecipe

VGG = candidate_pb2.Block(type=candidate_pb2.BLOCK_TYPE_VGG, kernels=8)


def refused(error: InvalidInput) -> list[str]:
    return [v.field for v in error.violations]


def test_what_is_not_set_has_the_dataclass_default() -> None:
    assert from_pb(network_pb2.Bits(weight_bits=4), Bits) == Bits(weight_bits=4)
    assert from_pb(candidate_pb2.Candidate(blocks=[VGG]), Candidate) == Candidate(
        blocks=(Block(BlockType.VGG, 8),), head=Head(), projection=Projection.ALWAYS
    )
    assert from_pb(trainer_pb2.TrainRecipe(name="x"), TrainRecipe) == TrainRecipe(name="x")


def test_a_zero_that_is_sent_is_no_default() -> None:
    recipe = from_pb(trainer_pb2.TrainRecipe(name="x", momentum=0.0, shift_px=0), TrainRecipe)
    assert (recipe.momentum, recipe.shift_px) == (0.0, 0)


def test_none_travels_as_zero_where_the_default_is_a_number() -> None:
    limits = TrainingLimits(max_macs=5, max_params=None)
    sent = to_pb(limits, searcher_pb2.TrainingLimits)
    assert (sent.max_params, sent.HasField("max_params")) == (0, True)
    assert from_pb(sent, TrainingLimits) == limits
    assert from_pb(searcher_pb2.TrainingLimits(max_macs=5), TrainingLimits) == TrainingLimits(max_macs=5)


@pytest.mark.parametrize(
    "chip",
    [
        hw_oracle_pb2.ChipConfig(),
        hw_oracle_pb2.ChipConfig(tile=hw_oracle_pb2.TileConfig(pe=hw_oracle_pb2.PeConfig())),
    ],
)
def test_a_chip_that_sets_nothing_is_the_default_chip(chip: hw_oracle_pb2.ChipConfig) -> None:
    assert from_pb(chip, ChipConfig) == ChipConfig()


def test_what_a_chip_derives_arrives_as_derived() -> None:
    device = DeviceConfig(cell_area_um2=None)
    pe = PeConfig(crossbar=CrossbarConfig(device=device), adcs=None)
    chip = ChipConfig(tile=TileConfig(pe=pe), buffer=BufferConfig(input_size_kb=None, output_size_kb=4.0))
    sent = to_pb(chip, hw_oracle_pb2.ChipConfig)
    assert (sent.tile.pe.adcs, sent.buffer.HasField("input_size_kb")) == (0, False)
    assert from_pb(sent, ChipConfig) == chip


def test_a_list_that_is_too_long_is_refused_unread() -> None:
    nothing = network_pb2.Layer()  # reading one would be refused as of no kind
    shape = network_pb2.Shape(channels=1, height=8, width=8)
    for message, cls, field in (
        (network_pb2.LayerList(input_shape=shape, layers=[nothing] * 4097), LayerList, "layers"),
        (network_pb2.Add(inputs=[0] * 65), Add, "inputs"),
        (candidate_pb2.Candidate(blocks=[candidate_pb2.Block()] * 65), Candidate, "blocks"),
    ):
        with pytest.raises(InvalidInput, match="wanted at most") as caught:
            from_pb(message, cls)
        assert refused(caught.value) == [field]


def test_an_enum_that_is_not_set_has_the_default() -> None:
    pool = from_pb(network_pb2.Pool2d(inputs=[-1], kernel_size=2, stride=2), Pool2d)
    assert pool.mode is PoolMode.MAX


@pytest.mark.parametrize("number", [0, 99])
def test_an_unknown_enum_value_in_a_list_is_refused_by_its_path(number: int) -> None:
    message = candidate_pb2.Candidate(blocks=[VGG, candidate_pb2.Block(kernels=1)])
    message.blocks[1].type = number  # type: ignore[assignment]
    with pytest.raises(InvalidInput) as caught:
        from_pb(message, Candidate)
    assert refused(caught.value) == ["blocks[1].type"]


def test_an_enum_value_of_a_newer_contract_is_refused_with_those_known() -> None:
    message = network_pb2.Pool2d(inputs=[-1], kernel_size=2, stride=2, mode=7)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="mode: got 7, wanted one of POOL_MODE_MAX, POOL_MODE_AVERAGE"):
        from_pb(message, Pool2d)


def test_a_missing_message_is_refused_by_its_path() -> None:
    with pytest.raises(InvalidInput) as caught:
        from_pb(trainer_pb2.DatasetInfo(name="x"), DatasetInfo)
    assert refused(caught.value) == ["input_shape"]


def test_a_layer_of_no_kind_is_refused_by_its_path() -> None:
    shape = network_pb2.Shape(channels=1, height=8, width=8)
    with pytest.raises(InvalidInput) as caught:
        from_pb(network_pb2.LayerList(input_shape=shape, layers=[network_pb2.Layer()]), LayerList)
    assert refused(caught.value) == ["layers[0]"]


def test_what_the_constructor_refuses_passes_through() -> None:
    shape = network_pb2.Shape(channels=1, height=8, width=8)
    conv = network_pb2.Conv2d(inputs=[-1], out_channels=4, kernel_size=9)
    layers = network_pb2.LayerList(input_shape=shape, layers=[network_pb2.Layer(conv2d=conv)])
    with pytest.raises(InvalidNetwork) as caught:
        from_pb(layers, LayerList)
    assert refused(caught.value) == ["layers[0].conv2d.kernel_size"]
    with pytest.raises(InvalidCandidate):
        from_pb(candidate_pb2.Candidate(), Candidate)


def test_a_number_that_the_wire_cannot_carry_is_refused_by_its_path() -> None:
    report = EpochReport(epoch=2**63, train_loss_nats=0.1, validation_accuracy_frac=0.5, elapsed_s=1.0)
    with pytest.raises(InvalidInput) as caught:
        to_pb(report, trainer_pb2.EpochReport)
    assert refused(caught.value) == ["epoch"]


def test_a_text_that_is_no_utf8_is_refused_by_its_path() -> None:
    with pytest.raises(InvalidInput) as caught:
        to_pb(TrainRecipe(name="\ud800"), trainer_pb2.TrainRecipe)
    assert refused(caught.value) == ["name"]
