import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.searcher.pareto import dominates, front_indices, hypervolume


def points(dimensions, largest=6):
    # few different coordinates, so that ties and equal points are common
    return st.lists(st.tuples(*[st.integers(0, largest)] * dimensions), max_size=12)


def test_domination_needs_a_strict_gain_somewhere():
    assert dominates((1.0, 2.0), (1.0, 3.0))
    assert not dominates((1.0, 2.0), (1.0, 2.0))
    assert not dominates((1.0, 3.0), (2.0, 2.0))


@given(points(3))
def test_the_front_is_what_no_point_dominates(cloud):
    expected = [i for i, p in enumerate(cloud) if not any(dominates(q, p) for q in cloud)]
    assert sorted(front_indices(cloud)) == expected


@given(points(2) | points(3))
def test_the_front_is_listed_in_rising_order(cloud):
    front = [cloud[i] for i in front_indices(cloud)]
    assert front == sorted(front)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_hypervolume_counts_the_dominated_unit_cells(dimensions):
    @given(points(dimensions))
    def check(cloud):
        cells = itertools.product(range(5), repeat=dimensions)
        dominated = sum(
            any(all(x <= c for x, c in zip(p, cell, strict=True)) for p in cloud) for cell in cells
        )
        assert hypervolume(cloud, (5,) * dimensions) == dominated

    check()


def test_points_on_or_beyond_the_reference_add_no_volume():
    assert hypervolume([(0.0, 1.0), (2.0, 0.0)], (1.0, 1.0)) == 0.0
    assert hypervolume([], (1.0, 1.0)) == 0.0
