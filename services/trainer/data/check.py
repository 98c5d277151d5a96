"""Is a data set what a search should be judged on: balance, and what leaks from one part into another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from services.trainer.data.dataset import Dataset, Indices
from services.trainer.data.similar import nearest, standardised

TWIN_CORRELATION = 0.98
"""A training image correlated above this is a twin. Measured shares of validation images that have one:
digits 2 %, CIFAR-10 0 %; Sign Language MNIST 100 % if split by image, 0 % if split by photograph."""

TWINS_ALLOWED_FRAC = 0.2

QUERIES = 500
"""Images of a part, evenly spaced, that are compared with all of training."""

JUDGED = ("validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCheck:
    """What was found of a part that networks are judged on.

    Parameters
    ----------
    identical_images : int
        Its images that are in training, too, pixel by pixel.
    twins_frac : float
        Share of its images with a twin in training (`TWIN_CORRELATION`).
    neighbour_accuracy_frac : float
        Share whose most correlated training image is of the same class: what remembering alone gets.
    majority_frac : float
        Share of its commonest class: what guessing alone gets.
    """

    identical_images: int
    twins_frac: float
    neighbour_accuracy_frac: float
    majority_frac: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCheck:
    """What was found of a data set.

    Parameters
    ----------
    counts : dict of str to tuple of int
        Images of each class, by part.
    groups : dict of str to int, or None
        Groups in each part, where groups are known.
    shared_groups : int
        Groups in more than one part.
    judged : dict of str to PartCheck
        The parts `JUDGED`.
    findings : tuple of str
        What should be looked at; empty if nothing.
    """

    counts: dict[str, tuple[int, ...]]
    groups: dict[str, int] | None
    shared_groups: int
    judged: dict[str, PartCheck]
    findings: tuple[str, ...]

    @property
    def imbalance(self) -> float:
        """Images of the largest class in training for each one of the smallest."""
        return max(self.counts["train"]) / min(self.counts["train"])


def check_dataset(dataset: Dataset) -> DatasetCheck:
    """Look at a data set's balance, and for leaks between its parts; seconds for CIFAR-10."""
    counts = {
        part: tuple(np.bincount(dataset.labels[i], minlength=len(dataset.class_names)).tolist())
        for part, i in dataset.parts.items()
    }
    in_training = {_digest(dataset, i) for i in dataset.train}
    judged = {part: _judge(dataset, dataset.parts[part], in_training) for part in JUDGED}
    groups, shared = None, 0
    if dataset.groups is not None:
        members = {part: set(dataset.groups[i].tolist()) for part, i in dataset.parts.items()}
        groups = {part: len(found) for part, found in members.items()}
        shared = sum(groups.values()) - len(set().union(*members.values()))
    return DatasetCheck(
        counts=counts,
        groups=groups,
        shared_groups=shared,
        judged=judged,
        findings=tuple(_findings(dataset, counts, shared, judged)),
    )


def _judge(dataset: Dataset, part: Indices, in_training: set[bytes]) -> PartCheck:
    some = part[np.linspace(0, len(part) - 1, min(QUERIES, len(part))).astype(np.int64)]
    index, correlation = nearest(dataset.images, dataset.train, standardised(dataset.images[some]))
    labels = dataset.labels[part]
    return PartCheck(
        identical_images=sum(_digest(dataset, i) in in_training for i in part),
        twins_frac=float(np.mean(correlation > TWIN_CORRELATION)),
        neighbour_accuracy_frac=float(np.mean(dataset.labels[index] == dataset.labels[some])),
        majority_frac=float(np.bincount(labels).max() / len(labels)),
    )


def _digest(dataset: Dataset, index: int) -> bytes:
    return hashlib.sha256(dataset.images[index].data).digest()


def _findings(
    dataset: Dataset, counts: dict[str, tuple[int, ...]], shared: int, judged: dict[str, PartCheck]
) -> list[str]:
    found = []
    if shared:
        found.append(f"{shared} groups are in more than one part: accuracy would partly measure memory")
    for part, check in judged.items():
        if check.twins_frac > TWINS_ALLOWED_FRAC:
            found.append(
                f"{check.twins_frac:.0%} of the {part} images have a twin in training: "
                "accuracy would measure memory; name the groups that must stay together (docs/data.md)"
            )
        if absent := [n for n, c in zip(dataset.class_names, counts[part], strict=True) if not c]:
            found.append(f"the {part} part has no image of {', '.join(absent[:5])}")
    return found
