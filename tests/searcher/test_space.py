import pytest
from hyperopt import space_eval
from hyperopt.pyll import dfs
from hypothesis import given
from hypothesis import strategies as st

from services.common.candidate import BlockType
from services.common.space import SearchSpace, load_space
from services.searcher.space import blocks_of, hyperopt_domain, point_of

SMALL, PAPER = load_space("small"), load_space("paper")


def test_hyperopt_sees_exactly_the_configurations_of_the_space():
    domain = hyperopt_domain(SMALL)
    seen = set()
    for index in range(SMALL.count()):
        blocks = SMALL.candidate_at(index).blocks
        chosen = space_eval(domain.expr, point_of(SMALL, blocks))
        assert chosen == tuple((str(b.type), b.kernels) for b in blocks)
        seen.add(chosen)
    assert len(seen) == 819


def test_every_depth_shares_the_nodes_of_its_places():
    # one depth, and for each of 7 places one type and one kernel count
    labels = [n.arg["label"].obj for n in dfs(hyperopt_domain(PAPER).expr) if n.name == "hyperopt_param"]
    assert len(labels) == len(set(labels)) == 15


@given(st.integers(0, PAPER.count() - 1))
def test_blocks_survive_the_way_to_a_point_and_back(index):
    blocks = PAPER.candidate_at(index).blocks
    assert blocks_of(PAPER, point_of(PAPER, blocks)) == blocks


def test_a_point_has_the_active_nodes_alone():
    space = SearchSpace(
        block_types=(BlockType.RES, BlockType.VGG), kernel_counts=(8, 4), min_depth=2, max_depth=4
    )
    blocks = space.candidate_at(5).blocks
    assert [str(b) for b in blocks] == ["RES4", "RES4"]
    assert point_of(space, blocks) == {
        "depth": 0,
        "type_0": 0,
        "kernels_0": 1,
        "type_1": 0,
        "kernels_1": 1,
    }


def test_blocks_of_another_space_have_no_point():
    with pytest.raises(ValueError, match="not in"):
        point_of(SMALL, PAPER.candidate_at(17).blocks)
