from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from services.common.errors import NotFound
from services.common.layers import Shape
from services.trainer.data import dataset_names, load_dataset, stratified_order


@pytest.mark.parametrize(("name", "sizes"), [("digits", (1000, 400, 397)), ("digits-hard", (700, 540, 557))])
def test_parts_have_their_sizes_and_share_no_image(name: str, sizes: tuple[int, int, int]) -> None:
    data = load_dataset(name)
    info = data.info
    assert (info.train_images, info.validation_images, info.test_images) == sizes
    assert tuple(map(len, (data.train, data.validation, data.test))) == sizes
    everything = np.concatenate([data.train, data.validation, data.test])
    assert sorted(everything) == list(range(1797))
    assert info.name == name
    assert info.input_shape == Shape(channels=1, height=8, width=8)
    assert data.images.shape == (1797, 1, 8, 8)
    assert data.images.dtype == np.uint8
    assert info.classes == 10


@pytest.mark.parametrize("name", dataset_names())
def test_every_part_has_each_class_in_its_share(name: str) -> None:
    data = load_dataset(name)
    share = np.bincount(data.labels) / len(data.labels)
    for part in (data.train, data.validation, data.test):
        counts = np.bincount(data.labels[part], minlength=10)
        # A stretch of a stratified order is at most one image a class off at either end.
        np.testing.assert_allclose(counts, share * len(part), atol=2)


def test_data_sets_are_the_same_everywhere() -> None:
    """A new fingerprint is a new data set: results before and after it do not compare."""
    assert {name: load_dataset(name).info.fingerprint[:16] for name in dataset_names()} == {
        "digits": "b3417733a66120bc",
        "digits-hard": "595ecdafba5fff33",
    }


def test_digits_hard_is_digits_with_noise_of_a_quarter_of_the_range() -> None:
    clean, hard = load_dataset("digits"), load_dataset("digits-hard")
    assert np.array_equal(clean.labels, hard.labels)
    assert (clean.images.min(), clean.images.max()) == (0, 255)
    middle = (clean.images > 120) & (clean.images < 136)  # two deviations from both ends of the range
    noise = hard.images[middle].astype(float) - clean.images[middle]
    # Clipping at two deviations takes 4 % off the deviation of a normal distribution.
    assert np.std(noise) == pytest.approx(0.25 * 255 * 0.96, rel=0.03)
    assert np.mean(noise) == pytest.approx(0, abs=2)


def test_arrays_are_read_only() -> None:
    data = load_dataset("digits")
    for array in (data.images, data.labels, data.train, data.validation, data.test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_stratified_order_depends_on_its_seed_alone() -> None:
    labels = np.repeat(np.arange(3), [50, 30, 20])
    order = stratified_order(labels, seed=1)
    assert np.array_equal(order, stratified_order(labels, seed=1))
    assert not np.array_equal(order, stratified_order(labels, seed=2))
    assert np.bincount(labels[order[:10]]).tolist() == [5, 3, 2]


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(NotFound, match=r"dataset: got 'digit-hard', wanted one of .*mean digits-hard"):
        load_dataset("digit-hard")


def test_listing_names_imports_no_scikit_learn() -> None:
    code = "import sys, services.trainer.data as d; d.dataset_names(); sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
