"""The kernel says what the reference says, in every number, and refuses what it refuses."""

from __future__ import annotations

import random
from dataclasses import asdict
from math import isclose
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.candidate import Projection, candidate_layers
from services.common.errors import ChipTooSmall, ImcnasError, InvalidNetwork
from services.common.layers import Add, Concat, Conv2d, LayerList, Linear, Pool2d, Shape, macs, params
from services.common.space import SearchSpace, load_space
from services.hw_oracle import cost, reference
from services.hw_oracle.compiled.candidates import expand
from services.hw_oracle.compiled.pack import pack, pack_chip
from services.hw_oracle.compiled.records import OK, REFER
from services.hw_oracle.compiled.run import run, run_parallel
from services.hw_oracle.importers import from_mnsim
from services.hw_oracle.simconfig import chip_from_simconfig
from services.hw_oracle.types import ChipConfig, Detail
from tests.hw_oracle.networks import networks
from tests.hw_oracle.varied_chips import chips

TOLERANCE = 1e-11  # times are summed in another order


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every number of a report by its path."""
    if isinstance(value, dict):
        items = [(f"{path}.{key}", part) for key, part in value.items()]
    elif isinstance(value, list | tuple):
        items = [(f"{path}[{i}]", part) for i, part in enumerate(value)]
    else:
        return {path: value}
    return {key: number for at, part in items for key, number in flat(part, at).items()}


def assert_same(network: LayerList, chip: ChipConfig) -> None:
    """The kernel alone costs the network as the reference does, or leaves it to the reference."""
    found = cost.cost_packed(pack([network]), chip, Detail.MODULES)
    try:
        wanted = flat(asdict(reference.evaluate(network, chip)))
    except ImcnasError:
        assert found is None
        return
    assert found is not None
    got = flat(asdict(found))
    assert got.keys() == wanted.keys()
    assert {k: (v, wanted[k]) for k, v in got.items() if not close(v, wanted[k])} == {}


def close(got: Any, wanted: Any) -> bool:
    return isclose(got, wanted, rel_tol=TOLERANCE) if type(wanted) is float else bool(got == wanted)


@settings(max_examples=400)
@given(networks(), chips(tight=True))
def test_random_networks_on_random_chips(network: LayerList, chip: ChipConfig) -> None:
    assert_same(network, chip)


@pytest.mark.slow
@settings(max_examples=60)
@given(networks(max_layers=40), chips(tight=True))
def test_long_random_networks_on_random_chips(network: LayerList, chip: ChipConfig) -> None:
    assert_same(network, chip)


def test_golden_networks(sound_case: dict[str, Any], golden_configs: dict[str, str]) -> None:
    assert_same(from_mnsim(sound_case["layers"]), chip_from_simconfig(golden_configs[sound_case["config"]]))


@pytest.mark.parametrize(("height", "width"), [(1, 300), (300, 1), (17, 33), (2, 257), (64, 64)])
def test_maps_of_any_side_and_windows_that_overhang(height: int, width: int) -> None:
    layers = (
        Conv2d(inputs=(-1,), out_channels=3, kernel_size=1, padding=2),
        Conv2d(inputs=(0,), out_channels=3, kernel_size=5, padding=2),
        Conv2d(inputs=(1,), out_channels=3, kernel_size=5, padding=4, stride=3),
        Conv2d(inputs=(0,), out_channels=3, kernel_size=3, padding=0, stride=1),
        Pool2d(inputs=(3,), kernel_size=3, stride=2, padding=1),
        Linear(inputs=(4,), out_features=3),
        Linear(inputs=(2,), out_features=3),
        Add(inputs=(5, 6)),
    )
    network = LayerList(input_shape=Shape(channels=2, height=height, width=width), layers=layers)
    assert_same(network, ChipConfig())


def test_one_large_map_among_many_small_ones_that_wait() -> None:
    small = tuple(Conv2d(inputs=(0,), out_channels=2, kernel_size=3, stride=20) for _ in range(30))
    layers = (
        Conv2d(inputs=(-1,), out_channels=2, kernel_size=3, padding=1),
        *small,
        Concat(inputs=tuple(range(1, 31))),
        Add(inputs=(2, 2, 7)),
        Linear(inputs=(31,), out_features=3),
    )
    network = LayerList(input_shape=Shape(channels=1, height=100, width=90), layers=layers)
    assert_same(network, ChipConfig())


@pytest.mark.parametrize("projection", Projection)
@pytest.mark.parametrize("side", [2, 3, 7, 8, 28, 32])
def test_candidates_expand_to_their_networks(projection: Projection, side: int) -> None:
    paper, rng = load_space("paper"), random.Random(side)
    space = SearchSpace(
        block_types=paper.block_types,
        kernel_counts=paper.kernel_counts,
        min_depth=1,
        max_depth=7,
        projection=projection,
    )
    drawn = [space.candidate(tuple(rng.choices(space.choices, k=rng.randint(1, 7)))) for _ in range(100)]
    image, place = Shape(channels=3, height=side, width=side), {b: i for i, b in enumerate(space.choices)}
    made = expand(
        space,
        image,
        10,
        np.array([len(c.blocks) for c in drawn]),
        np.array([place[b] for c in drawn for b in c.blocks]),
    )
    wanted = pack([candidate_layers(c, image, 10) for c in drawn])
    for name in ("images", "starts", "layers", "input_starts", "inputs"):
        assert np.array_equal(getattr(made, name), getattr(wanted, name)), name


def test_macs_and_params_are_the_network_s() -> None:
    space, rng = load_space("small"), random.Random(1)
    drawn = [candidate_layers(space.sample(rng), Shape(channels=1, height=8, width=8), 10) for _ in range(20)]
    totals = run(pack(drawn), pack_chip(ChipConfig()))
    assert totals["macs"].tolist() == [macs(n) for n in drawn]
    assert totals["params"].tolist() == [params(n) for n in drawn]


def test_a_batch_on_all_cores_is_each_network_alone_bit_for_bit() -> None:
    space, rng = load_space("paper"), random.Random(2)
    drawn = [candidate_layers(space.sample(rng), Shape(channels=3, height=8, width=8), 10) for _ in range(60)]
    chip = pack_chip(ChipConfig())
    batches = [pack(drawn[i : i + 7]) for i in range(0, 60, 7)]
    together = np.concatenate(list(run_parallel(iter(batches), chip)))
    alone = np.concatenate([run(pack([n]), chip) for n in drawn])
    assert together.tolist() == alone.tolist()


@settings(max_examples=30)
@given(networks(), chips(tight=True), st.sampled_from(Detail))
def test_detail_leaves_out_and_changes_nothing(network: LayerList, chip: ChipConfig, detail: Detail) -> None:
    try:
        whole = cost.evaluate(network, chip)
    except ImcnasError as error:
        with pytest.raises(type(error)):
            cost.evaluate(network, chip, detail)
        return
    assert cost.evaluate(network, chip, detail) == cost.trim(whole, detail)


def test_a_batch_has_a_report_or_an_error_for_each() -> None:
    fits = LayerList(
        input_shape=Shape(channels=1, height=4, width=4),
        layers=(Conv2d(inputs=(-1,), out_channels=2, kernel_size=3),),
    )
    wide = LayerList(
        input_shape=Shape(channels=2000, height=4, width=4),
        layers=(Conv2d(inputs=(-1,), out_channels=2000, kernel_size=3),),
    )
    kernel = LayerList(
        input_shape=Shape(channels=1, height=30, width=30),
        layers=(Conv2d(inputs=(-1,), out_channels=2, kernel_size=30),),
    )
    for detail in Detail:
        found = cost.evaluate_batch(
            [fits, wide, kernel, fits], ChipConfig(grid_rows=3, grid_columns=3), detail
        )
        assert found[0] == found[3] == cost.evaluate(fits, ChipConfig(grid_rows=3, grid_columns=3), detail)
        assert [type(e) for e in found[1:3]] == [ChipTooSmall, InvalidNetwork]


def test_records_that_are_no_network_are_left_to_the_reference() -> None:
    good = pack(
        [
            LayerList(
                input_shape=Shape(channels=2, height=4, width=4),
                layers=(
                    Conv2d(inputs=(-1,), out_channels=2, kernel_size=3, padding=1),
                    Add(inputs=(0, -1)),
                    Linear(inputs=(1,), out_features=2),
                ),
            )
        ]
    )
    chip, rng = pack_chip(ChipConfig()), np.random.default_rng(0)
    assert run(good, chip)["status"] == OK
    values = [-(2**62), -2, -1, 0, 1, 5, 2**20, 2**62]
    refused = 0
    for name in good.layers.dtype.names:
        for value in values:
            for index in range(3):
                layers = good.layers.copy()
                layers[name][index] = value
                changed = type(good)(good.images, good.starts, layers, good.input_starts, good.inputs)
                refused += int(run(changed, chip)["status"][0] == REFER)
    assert refused > 100  # some fields do not matter to some kinds
    for _ in range(300):  # and none of them makes the kernel leave its memory
        layers = good.layers.copy()
        flat_layers = layers.view(np.int64)
        flat_layers[:] = rng.integers(-3, 9, len(flat_layers))
        inputs = rng.integers(-3, 5, len(good.inputs))
        run(type(good)(good.images, good.starts, layers, good.input_starts, inputs), chip)
