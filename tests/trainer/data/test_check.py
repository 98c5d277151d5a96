from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.trainer.data import Dataset, load_dataset
from services.trainer.data.check import check_dataset
from services.trainer.data.npz import read_npz
from services.trainer.data.sheet import contact_sheet
from services.trainer.data.similar import near_duplicate_groups, nearest, standardised
from tests.trainer.data.files import photographs


def leaky(tmp_path: Path, **groups: np.ndarray) -> Dataset:
    """Forty photographs of two classes in five variants each."""
    path = tmp_path / "leaky.npz"
    np.savez(path, x=photographs(40, 5, 16), y=np.repeat(np.arange(40) % 2, 5), **groups)
    return read_npz("leaky", path)


def test_clean_digits_give_no_cause_for_concern() -> None:
    check = check_dataset(load_dataset("digits"))
    assert check.findings == ()
    assert check.groups is None
    assert sum(check.counts["train"]) == 1000
    assert check.imbalance == pytest.approx(102 / 97)
    assert check.judged["validation"].majority_frac == pytest.approx(41 / 400)
    assert check.judged["validation"].neighbour_accuracy_frac > 0.95


def test_variants_of_a_photograph_on_both_sides_are_found(tmp_path: Path) -> None:
    check = check_dataset(leaky(tmp_path))
    assert check.judged["validation"].twins_frac > 0.9  # a variant may lack another of its five in training
    assert check.judged["validation"].neighbour_accuracy_frac > 0.9
    assert "of the validation images have a twin in training" in check.findings[0]
    assert len(check.findings) == 2


def test_groups_remove_the_leak(tmp_path: Path) -> None:
    check = check_dataset(leaky(tmp_path, group=np.arange(200) // 5))
    assert check.findings == ()
    assert check.judged["validation"].twins_frac == 0
    assert check.judged["validation"].neighbour_accuracy_frac < 0.9  # nothing but chance is left
    assert check.groups == {"train": 24, "validation": 8, "test": 8}


def test_groups_and_images_on_both_sides_of_an_official_split_are_counted(tmp_path: Path) -> None:
    x, y = photographs(40, 1, 16), np.arange(40) % 2
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x[:10], y_test=y[:10], group_train=np.arange(40),
             group_test=np.arange(10))  # fmt: skip
    check = check_dataset(read_npz("mine", path))
    assert check.shared_groups == 10
    assert check.judged["test"].identical_images == len(set(range(10)) & set(read_npz("mine", path).train))
    assert check.findings[0].startswith("10 groups are in more than one part")


def test_near_duplicates_of_one_class_are_one_group() -> None:
    images = photographs(12, 4, 16)[:, None]
    labels = np.repeat(np.arange(12) % 3, 4)
    groups = near_duplicate_groups(images, labels)
    assert len(set(groups)) == 12
    assert len(set(zip(groups, np.arange(48) // 4, strict=True))) == 12


def test_near_duplicates_are_connected_through_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain: each image is near the next, the ends are not near each other."""
    rng = np.random.default_rng(0)
    ends = rng.integers(0, 256, (2, 1, 16, 16)).astype(float)
    chain = np.stack([(1 - t) * ends[0] + t * ends[1] for t in np.linspace(0, 1, 9)]).astype(np.uint8)
    vectors = standardised(chain)
    assert vectors[0] @ vectors[-1] < 0.5
    images = np.concatenate([chain, rng.integers(0, 256, (5, 1, 16, 16), dtype=np.uint8)])[::-1]
    whole = near_duplicate_groups(images, np.zeros(14, dtype=np.int64))
    assert len(set(whole)) == 6
    monkeypatch.setattr("services.trainer.data.similar.BLOCK_VALUES", 28)  # two rows at once
    assert np.array_equal(near_duplicate_groups(images, np.zeros(14, dtype=np.int64)), whole)


def test_the_nearest_is_the_same_however_many_are_compared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_dataset("digits")
    queries = standardised(data.images[data.validation[:50]])
    index, correlation = nearest(data.images, data.train, queries)
    every = np.corrcoef(
        data.images[data.validation[:50]].reshape(50, -1), data.images[data.train].reshape(1000, -1)
    )
    np.testing.assert_allclose(correlation, every[:50, 50:].max(axis=1), rtol=1e-5)
    assert np.array_equal(index, data.train[every[:50, 50:].argmax(axis=1)])
    monkeypatch.setattr("services.trainer.data.similar.BLOCK_VALUES", 64 * 7)
    assert np.array_equal(nearest(data.images, data.train, queries)[0], index)


def test_the_contact_sheet_shows_images_of_every_class_and_part() -> None:
    data = load_dataset("digits")
    with Image.open(io.BytesIO(contact_sheet(data))) as sheet:
        pixels = np.asarray(sheet)
    first = data.images[data.train[data.labels[data.train] == 0][0], 0]
    assert np.array_equal(pixels[64:128:8, 136:200:8, 0], first)
    assert pixels.shape[0] > 10 * 64


def test_a_contact_sheet_of_many_classes_and_large_images_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    x = np.zeros((600, 100, 100, 3), dtype=np.uint8)
    np.savez_compressed(path, x=x, y=np.arange(600) % 120)
    with Image.open(io.BytesIO(contact_sheet(read_npz("many", path)))) as sheet:
        assert sheet.size[1] < 4000
