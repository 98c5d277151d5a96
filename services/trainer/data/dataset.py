"""What a data set is: images, labels, a split that never changes, and how training may alter an image."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.common.errors import ImcnasError, InvalidDataset, Violation
from services.common.layers import Shape
from services.trainer.types import DatasetInfo

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

MAX_BYTES = 2**30
"""Pixels of a data set: every worker holds them in memory (CIFAR-10 has 0.18 of these GiB)."""

CHUNK = 1024
"""Images whose pixels are counted at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How a training image may be altered without becoming another thing.

    Parameters
    ----------
    flip : bool
        Mirror it left to right, half of the times. Wrong for digits, letters and hand signs.
    shift_px : int
        Shift it by up to so many rows and columns; black pixels come in. A recipe's `shift_px` multiplies it.
    """

    flip: bool = False
    shift_px: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Indices of the images of each part; no image is in two."""

    train: Indices
    validation: Indices
    test: Indices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Images and labels with their split; the arrays are read-only.

    Parameters
    ----------
    info : DatasetInfo
    images : ndarray of uint8, N x channels x height x width
    labels : ndarray of int64, N
        Indices into `class_names`.
    train, validation, test : ndarray of int64
        Indices of the images of each part; a search never sees the test part.
    class_names : tuple of str
    augmentation : Augmentation
    mean, deviation : tuple of float
        Of each channel over the train part alone, pixels 0 to 255.
    groups : ndarray of int64, N, or None
        Images of one group show the same person or photograph, and stay together; None: nothing is known.
    """

    info: DatasetInfo
    images: Images
    labels: Indices
    train: Indices
    validation: Indices
    test: Indices
    class_names: tuple[str, ...]
    augmentation: Augmentation
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    groups: Indices | None = None

    @property
    def parts(self) -> dict[str, Indices]:
        """The parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def make_dataset(
    name: str,
    images: Images,
    labels: Indices,
    split: Split,
    *,
    class_names: tuple[str, ...],
    augmentation: Augmentation,
    description: str,
    groups: Indices | None = None,
) -> Dataset:
    """Describe, check and freeze a data set.

    Parameters
    ----------
    name : str
    images : ndarray of uint8, N x channels x side x side
    labels : ndarray of int64, N
    split : Split
    class_names : tuple of str
        One for each label from 0.
    augmentation : Augmentation
    description : str
    groups : ndarray of int64, N, optional

    Raises
    ------
    InvalidDataset
        Fewer than two classes, an empty part, or a class that nothing can be trained on.
    """
    images = np.ascontiguousarray(images)
    parts = (split.train, split.validation, split.test)
    _check(name, labels, split, class_names)
    digest = hashlib.sha256()
    for array in (images, labels, *parts):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
        array.flags.writeable = False
    if groups is not None:
        groups.flags.writeable = False
    if augmentation != Augmentation():  # the default came later than the first fingerprints
        digest.update(repr(sorted(asdict(augmentation).items())).encode())
    mean, deviation = channel_statistics(images, split.train)
    info = DatasetInfo(
        name=name,
        input_shape=Shape(channels=images.shape[1], height=images.shape[2], width=images.shape[3]),
        classes=len(class_names),
        train_images=len(split.train),
        validation_images=len(split.validation),
        test_images=len(split.test),
        fingerprint=digest.hexdigest(),
        description=description,
    )
    return Dataset(
        info=info,
        images=images,
        labels=labels,
        train=split.train,
        validation=split.validation,
        test=split.test,
        class_names=tuple(map(_printable, class_names)),
        augmentation=augmentation,
        mean=mean,
        deviation=deviation,
        groups=groups,
    )


def channel_statistics(images: Images, part: Indices) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give mean and standard deviation (n - 1) of each channel over a part, from exact integer sums."""
    channels = range(images.shape[1])
    counts = np.zeros((len(channels), 256), dtype=np.int64)
    for start in range(0, len(part), CHUNK):
        some = images[part[start : start + CHUNK]]
        for c in channels:
            counts[c] += np.bincount(some[:, c].ravel(), minlength=256)
    values = np.arange(256)
    n = max(2, int(counts[0].sum()))
    sums = [int(row @ values) for row in counts]
    squares = [int(row @ values**2) for row in counts]
    mean = tuple(s / n for s in sums)
    return mean, tuple(math.sqrt((n * q - s * s) / (n * (n - 1))) for s, q in zip(sums, squares, strict=True))


@contextmanager
def reading(path: Path, wanted: str) -> Iterator[None]:
    """Turn whatever a decoder raises on broken bytes into an InvalidDataset that names the file.

    Parameters
    ----------
    path : Path
    wanted : str
        What the file should be, and the fix.
    """
    try:
        yield
    except ImcnasError:
        raise
    except Exception as error:  # decoders of outside bytes raise nearly anything
        text = str(error).partition("\n")[0][:200] or type(error).__name__
        raise InvalidDataset.of(Violation(str(path), f"cannot be read ({text}); wanted {wanted}")) from error


def check_bytes(where: object, count: int, shape: tuple[int, ...]) -> None:
    """Refuse more pixels than workers may hold.

    Parameters
    ----------
    where : object
        What the images come from, for the error.
    count : int
        Number of images.
    shape : tuple of int
        Of one image.
    """
    size = count * math.prod(shape)
    if size > MAX_BYTES:
        gib = f"{count:,} images of {'x'.join(map(str, shape))} take {size / 2**30:.1f} GiB"
        raise InvalidDataset.of(
            Violation(str(where), f"{gib}, wanted at most {MAX_BYTES / 2**30:g}; use fewer or smaller images")
        )


def _check(name: str, labels: Indices, split: Split, class_names: tuple[str, ...]) -> None:
    def refuse(text: str) -> Any:
        raise InvalidDataset.of(Violation(name, text))

    if len(class_names) < 2:
        refuse(f"has {len(class_names)} class, wanted at least 2")
    for part in ("train", "validation", "test"):
        if not len(getattr(split, part)):
            refuse(f"the {part} part has no image; give more images, or more groups of them")
    untrained = sorted(set(range(len(class_names))) - set(labels[split.train].tolist()))
    if untrained:
        refuse(f"nothing to train class {class_names[untrained[0]]} on; give more images or groups of it")


def _printable(text: str) -> str:
    """Keep a class name from outside from moving the cursor of a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text[:40])
