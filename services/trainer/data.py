"""Data sets by name: images, labels, and one fixed stratified split that no training seed changes.

- ``digits``: scikit-learn's 1,797 handwritten digits, 8x8 (UCI optical recognition of handwritten
  digits): 1,000 train, 400 validation, 397 test. Two blocks already classify nearly all of them.
- ``digits-hard``: the same images with fixed noise and fewer to train on, so that candidates differ:
  700 train, 540 validation (one standard error is about 1 % at 93 %), 557 test.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from services.common.errors import NotFound, one_of, violation
from services.common.layers import Shape
from services.trainer.types import DatasetInfo

SPLIT_SEED = 20_240_617
"""Seed of split and noise of every data set here."""

NOISE_FRAC = 0.25
"""Standard deviation of the noise of digits-hard, as a share of the pixel range."""

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Images and labels with their split; the arrays are read-only.

    Parameters
    ----------
    info : DatasetInfo
    images : ndarray of uint8, N x channels x height x width
    labels : ndarray of int64, N
    train, validation, test : ndarray of int64
        Indices of the images of each part; each part is stratified by label.
    """

    info: DatasetInfo
    images: Images
    labels: Indices
    train: Indices
    validation: Indices
    test: Indices


def dataset_names() -> tuple[str, ...]:
    """Names that `load_dataset` knows."""
    return tuple(_LOADERS)


@functools.cache
def load_dataset(name: str) -> Dataset:
    """Load a data set; a second call gives the same object.

    Raises
    ------
    NotFound
        No data set of that name.
    """
    if name not in _LOADERS:
        wrong = violation("dataset", name, one_of(_LOADERS, name))
        raise NotFound(str(wrong), [wrong])
    return _LOADERS[name]()


def _digits() -> Dataset:
    images, labels = _load_digits()
    return _split("digits", images, labels, (1000, 400), "1,797 handwritten digits, 8x8, clean")


def _digits_hard() -> Dataset:
    images, labels = _load_digits()
    noise = np.random.default_rng(SPLIT_SEED).normal(0.0, 255 * NOISE_FRAC, images.shape)
    noisy = np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)
    text = "1,797 handwritten digits, 8x8, with noise of a quarter of the pixel range, 700 to train on"
    return _split("digits-hard", noisy, labels, (700, 540), text)


_LOADERS: dict[str, Callable[[], Dataset]] = {"digits": _digits, "digits-hard": _digits_hard}


def _load_digits() -> tuple[Images, Indices]:
    from sklearn.datasets import load_digits  # seconds to import, and only the digits need it

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # its pixels are 0 to 16
    return images[:, None], bunch.target.astype(np.int64)


def _split(name: str, images: Images, labels: Indices, sizes: tuple[int, int], description: str) -> Dataset:
    order = stratified_order(labels, SPLIT_SEED)
    parts = np.split(order, np.cumsum(sizes))
    digest = hashlib.sha256()
    arrays: list[npt.NDArray[Any]] = [images, labels, *parts]
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
        array.flags.writeable = False
    info = DatasetInfo(
        name=name,
        input_shape=Shape(channels=images.shape[1], height=images.shape[2], width=images.shape[3]),
        classes=len(np.unique(labels)),
        train_images=len(parts[0]),
        validation_images=len(parts[1]),
        test_images=len(parts[2]),
        fingerprint=digest.hexdigest(),
        description=description,
    )
    return Dataset(
        info=info, images=images, labels=labels, train=parts[0], validation=parts[1], test=parts[2]
    )


def stratified_order(labels: Indices, seed: int) -> Indices:
    """Order images at random so that every stretch of the order has each class in its share.

    The r-th of a class's n images, counted in random order, is put at the fraction (r + 1/2) / n.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels[shuffled] == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(place, kind="stable")].astype(np.int64)
