"""Who is in which part: the same on every machine, each class in its share, no group in two parts."""

from __future__ import annotations

import numpy as np

from services.common.errors import InvalidDataset, Violation
from services.trainer.data.dataset import Indices, Split

SPLIT_SEED = 20_240_617
"""Seed of every split, and of the noise of digits-hard."""

VALIDATION_FRAC = 0.2
"""Share of all images, or of the official training images, that is validated on."""

TEST_FRAC = 0.2
"""Share of all images that is put aside where the source names no test part."""

ORDERS = 32
"""Random orders in which groups are tried; the best stratified split of all is taken."""


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


def split_all(name: str, labels: Indices, groups: Indices | None = None) -> Split:
    """Split images without an official test part: 60 % train, 20 % validation, 20 % test.

    Parameters
    ----------
    name : str
        For the error.
    labels : ndarray of int64, N
    groups : ndarray of int64, N, optional
        Whole groups go into a part.

    Raises
    ------
    InvalidDataset
        Too few groups.
    """
    everything = np.arange(len(labels), dtype=np.int64)
    rest, test = hold_out(name, everything, TEST_FRAC, labels, groups)
    train, validation = hold_out(name, rest, VALIDATION_FRAC / (1 - TEST_FRAC), labels, groups)
    return Split(train=train, validation=validation, test=test)


def split_train(
    name: str, train: int, labels: Indices, groups: Indices | None = None, frac: float = VALIDATION_FRAC
) -> Split:
    """Take validation out of the first `train` images; the others are the official test part."""
    everything = np.arange(len(labels), dtype=np.int64)
    kept, validation = hold_out(name, everything[:train], frac, labels, groups)
    return Split(train=kept, validation=validation, test=everything[train:])


def hold_out(
    name: str, among: Indices, frac: float, labels: Indices, groups: Indices | None = None
) -> tuple[Indices, Indices]:
    """Divide the images `among` into those kept and a share `frac` held out, stratified by label.

    Without groups the share is exact to one image, in all and in each class. Groups are taken whole: of
    `ORDERS` random orders, each filling the held-out part greedily, the one counts that comes nearest to the
    share in every class (squared relative error).

    Raises
    ------
    InvalidDataset
        There are groups, but fewer than two of them.
    """
    if groups is None:
        order = among[stratified_order(labels[among], SPLIT_SEED)]
        held = round(frac * len(among))
        return np.sort(order[held:]), np.sort(order[:held])
    _, member = np.unique(groups[among], return_inverse=True)
    if member.size == 0 or member.max() == 0:
        text = "all images are of one group (person, photograph); wanted at least 3 groups to split by"
        raise InvalidDataset.of(Violation(name, text))
    _, label = np.unique(labels[among], return_inverse=True)
    counts = np.zeros((member.max() + 1, label.max() + 1))
    np.add.at(counts, (member, label), 1)
    taken = _taken(counts, frac)[member]
    return among[~taken], among[taken]


def _taken(counts: np.ndarray, frac: float) -> np.ndarray:
    """Choose groups, given each one's images by class, that hold about `frac` of every class."""
    target = frac * counts.sum(axis=0)
    weight = 1 / np.maximum(target, 1) ** 2
    rng = np.random.default_rng(SPLIT_SEED)
    orders = np.stack([rng.permutation(len(counts)) for _ in range(ORDERS)])
    held = np.zeros((ORDERS, counts.shape[1]))
    taken = np.zeros((ORDERS, len(counts)), dtype=bool)
    for group in orders.T:
        more = counts[group]
        # What taking the group adds to the error: negative if the part comes nearer to its share.
        closer = (more * (more + 2 * (held - target)) * weight).sum(axis=1) < 0
        held += more * closer[:, None]
        taken[np.arange(ORDERS), group] = closer
    error = ((held - target) ** 2 * weight).sum(axis=1)
    best: np.ndarray = taken[error.argmin()]
    return best
