"""Spaces, candidates and the networks they are."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.candidate import (
    Block,
    BlockType,
    Candidate,
    Head,
    Projection,
    candidate_layers,
    head_pool,
    parse_blocks,
    parse_candidate,
)
from services.common.codec import to_jsonable
from services.common.errors import InvalidCandidate, NotFound
from services.common.layers import Add, Conv2d, Pool2d, Shape
from services.common.network_json import network_key
from services.common.space import SearchSpace, load_space, space_from_dict

BLOCKS = st.builds(Block, st.sampled_from(BlockType), st.integers(1, 4096))


def square(side: int, channels: int = 1) -> Shape:
    return Shape(channels=channels, height=side, width=side)


def test_the_paper_space_has_648_232_974_configurations():
    assert load_space("paper").count() == 648_232_974 == sum(18**d for d in range(1, 8))


def test_the_small_space_has_819_configurations_and_792_networks_on_8x8_images():
    small = load_space("small")
    assert small.count() == 819
    candidates = [small.candidate_at(i) for i in range(819)]
    assert len(set(candidates)) == 819
    assert len({network_key(candidate_layers(c, square(8), 10)) for c in candidates}) == 792


def test_an_index_outside_the_space_has_no_candidate():
    for index in (-1, 819):
        with pytest.raises(IndexError):
            load_space("small").candidate_at(index)


def test_sampling_is_uniform_over_configurations():
    rng, small = Random(0), load_space("small")
    draws = [small.sample(rng) for _ in range(3000)]
    share = sum(len(c.blocks) == 3 for c in draws) / len(draws)
    assert abs(share - 729 / 819) < 0.025  # four standard errors of 3,000 draws


@given(st.lists(BLOCKS, min_size=1, max_size=7))
def test_the_compact_form_parses_back(blocks: list[Block]):
    candidate = Candidate(blocks=tuple(blocks))
    assert parse_candidate(str(candidate)) == candidate
    assert parse_candidate(str(candidate).lower()) == candidate


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("VGG64-FOO3", "blocks[1]"),
        ("VGG", "blocks[0]"),
        ("", "blocks[0]"),
        ("VGG64-", "blocks[1]"),
        ("VGG0", "blocks[0].kernels"),
        ("VGG-64", "blocks[0]"),
        ("VGG99999", "blocks[0].kernels"),
    ],
)
def test_an_unreadable_block_is_named(text: str, field: str):
    with pytest.raises(InvalidCandidate) as caught:
        parse_candidate(text)
    assert [v.field for v in caught.value.violations] == [field]


def test_a_vgg_on_a_map_narrower_than_4_is_an_mvgg():
    def key(blocks: str) -> str:
        return network_key(candidate_layers(parse_candidate(blocks), square(8), 10))

    assert key("VGG8-VGG8-VGG8") == key("VGG8-VGG8-MVGG8") != key("VGG8-MVGG8-VGG8")


def test_no_block_makes_a_map_smaller_than_2_and_the_head_sees_2x2():
    for side in range(2, 50):
        net = candidate_layers(Candidate(blocks=parse_blocks("-".join(["VGG8"] * 7))), square(side), 10)
        assert min(s.width for s in net.shapes[:-3]) == 2
        assert net.shapes[-4].width == 2
        kernel, stride = head_pool(side)
        assert (side - kernel) // stride + 1 == 2


def test_a_residual_block_may_open_a_network_and_its_projection_is_a_setting():
    always = candidate_layers(parse_candidate("RES8-RES8"), square(8), 10)
    assert [type(x) for x in always.layers[:4]] == [Conv2d, Conv2d, Conv2d, Add]
    assert always.layers[2].inputs == (-1,)
    assert always.layers[3].inputs == (2, 1)
    sparing = parse_candidate("RES8-RES8", projection=Projection.WHEN_CHANNELS_DIFFER)
    layers = candidate_layers(sparing, square(8), 10).layers
    assert layers[6] == Add(inputs=(5, 3))


def test_images_of_2x2_have_no_head_pool():
    layers = candidate_layers(parse_candidate("VGG8"), square(2), 10).layers
    assert not any(isinstance(x, Pool2d) for x in layers)


@pytest.mark.parametrize("shape", [Shape(channels=1, height=8, width=9), square(1)])
def test_images_that_do_not_fit_are_refused(shape: Shape):
    with pytest.raises(InvalidCandidate, match="resize the images"):
        candidate_layers(parse_candidate("VGG8"), shape, 10)


def test_an_unknown_space_names_the_known_ones():
    with pytest.raises(NotFound, match=r"got 'papr', wanted one of paper, small \(did you mean paper\?\)"):
        load_space("papr")


def test_a_space_file_reads_back_and_its_mistakes_are_named(tmp_path):
    small = load_space("small")
    assert space_from_dict(to_jsonable(small)) == small
    file = tmp_path / "mine.toml"
    file.write_text('block_types = ["VGG", "VGGG"]\nkernel_counts = [8]\nmin_depth = 1\nmax_dept = 2\n')
    with pytest.raises(InvalidCandidate) as caught:
        load_space(str(file))
    assert sorted(v.field for v in caught.value.violations) == ["max_dept", "max_depth"]
    file.write_text("= 3")
    with pytest.raises(InvalidCandidate, match=r"mine\.toml: this is no TOML"):
        load_space(str(file))


def table(**changes: object) -> dict[str, object]:
    return {"block_types": ["VGG"], "kernel_counts": [8], "min_depth": 1, "max_depth": 2} | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_types": 3}, "block_types: got 3, wanted a list"),
        ({"block_types": "VGG"}, "block_types: got 'VGG', wanted a list"),
        ({"block_types": ["VGGG"]}, r"block_types\[0\]: got 'VGGG', .*did you mean VGG"),
        ({"kernel_counts": [8.0]}, r"kernel_counts\[0\]: got 8.0"),
        ({"kernel_counts": [4097]}, r"kernel_counts\[0\]: got 4097, wanted an integer from 1 to 4096"),
        ({"min_depth": 1.5}, "min_depth: got 1.5"),
        ({"min_depth": True}, "min_depth: got True"),
        ({"max_depth": 65}, "max_depth: got 65, wanted an integer from 1 to 64"),
        ({"head": {"hidden_features": [1] * 65}}, "head.hidden_features: got '65 layers'"),
        ({"head": 3}, "head: got 3"),
    ],
)
def test_a_wrong_table_is_refused_by_field(changes: dict[str, object], message: str):
    with pytest.raises(InvalidCandidate, match=message):
        space_from_dict(table(**changes))


def test_an_endless_depth_is_refused_before_anything_is_made():
    for depth in (10**8, 10**12):
        with pytest.raises(InvalidCandidate, match="max_depth"):
            SearchSpace(block_types=(BlockType.VGG,), kernel_counts=(8,), min_depth=1, max_depth=depth)
    with pytest.raises(InvalidCandidate, match="min_depth"):
        SearchSpace(
            block_types=(BlockType.VGG,),
            kernel_counts=(8,),
            min_depth=True,
            max_depth=2,
        )
    with pytest.raises(InvalidCandidate, match="got '1000000 blocks'"):
        Candidate(blocks=(Block(BlockType.VGG, 0),) * 10**6)


def test_a_candidate_outside_its_space_is_told_why():
    small = load_space("small")
    small.check(small.candidate_at(5))
    with pytest.raises(InvalidCandidate) as caught:
        small.check(parse_candidate("VGG8-VGG8-VGG8-VGG64"))
    assert [v.field for v in caught.value.violations] == ["blocks", "blocks[3].kernels"]
    with pytest.raises(InvalidCandidate, match="head"):
        small.check(parse_candidate("VGG8", head=Head(hidden_features=(10,))))


def test_an_impossible_space_is_refused():
    with pytest.raises(InvalidCandidate, match="min_depth"):
        SearchSpace(block_types=(BlockType.VGG,), kernel_counts=(8,), min_depth=3, max_depth=2)
    with pytest.raises(InvalidCandidate, match="kernel_counts"):
        SearchSpace(block_types=(BlockType.VGG,), kernel_counts=(8, 8), min_depth=1, max_depth=2)
