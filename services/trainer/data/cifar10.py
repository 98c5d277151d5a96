"""CIFAR-10 (Krizhevsky 2009) in its official binary version: records of one label byte and 3,072 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from services.common.errors import InvalidDataset, NotFound, Violation, missing
from services.common.layers import Shape
from services.trainer.data.dataset import Augmentation, Dataset, Images, make_dataset
from services.trainer.data.split import split_train

FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{n}.bin" for n in range(1, 6))
TEST_FILE = "test_batch.bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

SHAPE = Shape(channels=3, height=32, width=32)
RECORD_BYTES = 1 + SHAPE.elements
MAX_RECORDS = 10_000
"""Records of each official file."""

VALIDATION_FRAC = 0.1
"""5,000 of the 50,000 training images, as is common."""

FIX = "get it again with: imcnas data fetch cifar10"


def read_cifar10(name: str, path: Path) -> Dataset:
    """Read the six files; fewer records than the official ones are a subset, and the description says so.

    Parameters
    ----------
    name : str
    path : Path
        The folder ``cifar-10-batches-bin``, or the one it is in.

    Raises
    ------
    NotFound
        A file is missing.
    InvalidDataset
        A file is damaged.
    """
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    if not (folder / TRAIN_FILES[0]).exists() and (folder / "data_batch_1").exists():
        text = f"this is the Python version, whose pickles are never opened; wanted the binary one: {FIX}"
        raise InvalidDataset.of(Violation(str(folder), text))
    parts = [_read(folder / file) for file in (*TRAIN_FILES, TEST_FILE)]
    records = np.concatenate(parts)
    labels = records[:, 0].astype(np.int64)
    images: Images = records[:, 1:].reshape(-1, SHAPE.channels, SHAPE.height, SHAPE.width)
    test = len(parts[-1])
    train = len(records) - test
    subset = "" if len(records) == 6 * MAX_RECORDS else f" (a subset: {len(records):,} of 60,000 images)"
    return make_dataset(
        name,
        images,
        labels,
        split_train(name, train, labels, frac=VALIDATION_FRAC),
        class_names=CLASSES,
        augmentation=Augmentation(flip=True, shift_px=4),
        description=f"CIFAR-10, 32x32 colour photographs of 10 classes, official test part{subset}",
    )


def _read(path: Path) -> Images:
    """Read one file: N x 3073."""
    if not path.is_file():
        raise NotFound.of(missing(str(path), f"the official binary version of CIFAR-10; {FIX}"))
    size = path.stat().st_size
    if size % RECORD_BYTES or not 0 < size <= RECORD_BYTES * MAX_RECORDS:
        text = f"has {size:,} bytes, wanted 30,730,000 (10,000 records of {RECORD_BYTES:,}); {FIX}"
        raise InvalidDataset.of(Violation(str(path), text))
    records = np.fromfile(path, dtype=np.uint8, count=size).reshape(-1, RECORD_BYTES)
    wrong = np.flatnonzero(records[:, 0] >= len(CLASSES))
    if len(wrong):
        text = f"record {wrong[0]} has the label {records[wrong[0], 0]}, wanted 0 to 9; {FIX}"
        raise InvalidDataset.of(Violation(str(path), text))
    return records
