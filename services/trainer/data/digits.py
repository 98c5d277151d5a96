"""scikit-learn's handwritten digits (UCI optical recognition of handwritten digits), and a harder version.

Two blocks classify nearly all of the clean digits; with noise and fewer images to train on candidates differ
(one standard error of 540 validation images is about 1 % at 93 %).
"""

from __future__ import annotations

import numpy as np

from services.trainer.data.dataset import Augmentation, Dataset, Images, Indices, Split, make_dataset
from services.trainer.data.split import SPLIT_SEED, stratified_order

NOISE_FRAC = 0.25
"""Standard deviation of the noise of digits-hard, as a share of the pixel range."""


def read_digits(name: str) -> Dataset:
    """Load the clean digits: 1,000 train, 400 validation, 397 test."""
    images, labels = _load()
    return _dataset(name, images, labels, (1000, 400), "1,797 handwritten digits, 8x8, clean")


def read_digits_hard(name: str) -> Dataset:
    """Load the noisy digits: 700 train, 540 validation, 557 test."""
    images, labels = _load()
    noise = np.random.default_rng(SPLIT_SEED).normal(0.0, 255 * NOISE_FRAC, images.shape)
    noisy = np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)
    text = "1,797 handwritten digits, 8x8, with noise of a quarter of the pixel range, 700 to train on"
    return _dataset(name, noisy, labels, (700, 540), text)


def _load() -> tuple[Images, Indices]:
    from sklearn.datasets import load_digits  # seconds to import, and only the digits need it

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # its pixels are 0 to 16
    return images[:, None], bunch.target.astype(np.int64)


def _dataset(name: str, images: Images, labels: Indices, sizes: tuple[int, int], description: str) -> Dataset:
    train, validation, test = np.split(stratified_order(labels, SPLIT_SEED), np.cumsum(sizes))
    return make_dataset(
        name,
        images,
        labels,
        Split(train=train, validation=validation, test=test),
        class_names=tuple("0123456789"),
        augmentation=Augmentation(),
        description=description,
    )
