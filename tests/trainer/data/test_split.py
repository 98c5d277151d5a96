from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidDataset
from services.trainer.data.split import hold_out, split_all, split_train


def test_without_groups_the_share_is_exact_in_every_class() -> None:
    labels = np.repeat(np.arange(10), 100)
    kept, held = hold_out("x", np.arange(1000), 0.1, labels)
    assert np.bincount(labels[held]).tolist() == [10] * 10
    assert sorted([*kept, *held]) == list(range(1000))


def test_the_official_test_part_stays_as_it_is() -> None:
    labels = np.tile(np.arange(4), 30)
    split = split_train("x", 100, labels)
    assert split.test.tolist() == list(range(100, 120))
    assert sorted([*split.train, *split.validation]) == list(range(100))
    assert len(split.validation) == 20


def test_where_there_is_no_test_part_a_fifth_is_put_aside_and_another_validated_on() -> None:
    split = split_all("x", np.tile(np.arange(5), 40))
    assert tuple(map(len, (split.train, split.validation, split.test))) == (120, 40, 40)


@given(st.integers(3, 40), st.integers(1, 8), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_a_group_is_never_in_two_parts(groups: int, size: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    member = rng.integers(0, groups, groups * size)
    labels = rng.integers(0, classes, groups * size)
    if len(np.unique(member)) < 3:
        return
    try:
        split = split_all("x", labels, member)
    except InvalidDataset:
        assert len(np.unique(member)) < 4  # two groups may be left to take validation from, or one
        return
    parts = [set(member[part]) for part in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert sorted(np.concatenate([split.train, split.validation, split.test])) == list(range(groups * size))


def test_parts_of_groups_come_near_to_their_share_in_every_class() -> None:
    """117 groups of 1 to 6 sequences, as the subjects of CK+ have them."""
    rng = np.random.default_rng(5)
    share = np.array([45, 18, 59, 25, 69, 28, 83]) / 327
    sequences = rng.integers(1, 7, 117)
    member = np.repeat(np.arange(117), 3 * sequences)
    labels = np.repeat(rng.choice(7, sequences.sum(), p=share), 3)
    split = split_all("x", labels, member)
    total = np.bincount(labels)
    for part in (split.validation, split.test):
        np.testing.assert_allclose(np.bincount(labels[part], minlength=7) / total, 0.2, atol=0.05)


def test_a_split_repeats() -> None:
    labels, member = np.tile(np.arange(3), 60), np.repeat(np.arange(36), 5)
    one, other = (split_all("x", labels, member) for _ in range(2))
    assert np.array_equal(one.train, other.train)
    assert np.array_equal(one.test, other.test)


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(InvalidDataset, match=r"mine: all images are of one group .* at least 3 groups"):
        split_all("mine", np.tile(np.arange(2), 5), np.zeros(10, dtype=np.int64))
