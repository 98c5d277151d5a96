"""American Sign Language letters: the CSV files of Sign Language MNIST, or a folder for each letter.

Sign Language MNIST has some 21 variants of each photograph (rotated, filtered, pixelated). A split by image
tells nothing: the most similar training image is then a variant of the same photograph. So validation takes
whole photographs; the official test part stays what it is.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from string import ascii_uppercase

import numpy as np

from services.common.errors import InvalidDataset, NotFound, Violation, missing
from services.trainer.data.dataset import Augmentation, Dataset, Images, make_dataset, reading
from services.trainer.data.folder import PIXELS_PER_SHIFT, FolderOptions, Grouping, from_folder, read_options
from services.trainer.data.similar import GROUP_CORRELATION, near_duplicate_groups
from services.trainer.data.split import split_train

TRAIN_FILE, TEST_FILE = "sign_mnist_train.csv", "sign_mnist_test.csv"
SIDE = 28
COLUMNS = ",".join(["label", *(f"pixel{n}" for n in range(1, SIDE * SIDE + 1))])
LETTERS = tuple(letter for letter in ascii_uppercase if letter not in "JZ")
"""J and Z are motions: labels 9 and 25 do not occur."""

MAX_BYTES = 2**28
"""Of one file; the official ones have 83 and 22 million."""

OPTIONS = FolderOptions(side=SIDE, grey=True, group=Grouping.NEAR_DUPLICATES)


def read_asl(name: str, path: Path) -> Dataset:
    """Read the two CSV files, or image files in a folder for each letter.

    Parameters
    ----------
    name : str
    path : Path
        Folder of the CSV files or of the letters' folders, or the training CSV file.

    Raises
    ------
    NotFound, InvalidDataset
        A file is missing or damaged.
    """
    folder = path.parent if path.name == TRAIN_FILE else path
    if (folder / TRAIN_FILE).exists() or (folder / TEST_FILE).exists():
        return _from_csv(name, folder)
    about = "American Sign Language letters"
    letter = re.compile("[A-Za-z]", re.ASCII).fullmatch
    return from_folder(name, folder, read_options(folder, OPTIONS), about, lambda n: letter(n) is not None)


def _from_csv(name: str, folder: Path) -> Dataset:
    train, test = (_read(folder / file) for file in (TRAIN_FILE, TEST_FILE))
    rows = np.concatenate([train, test])
    raw = rows[:, 0].astype(np.int64)
    labels = raw - (raw > ascii_uppercase.index("J"))
    images: Images = rows[:, 1:].reshape(-1, 1, SIDE, SIDE)
    groups = near_duplicate_groups(images, labels)
    photographs = len(np.unique(groups[: len(train)]))
    about = "Sign Language MNIST, 28x28 grey hands of 24 letters, official test part"
    note = f"validation by whole photographs, of {photographs:,} (correlated above {GROUP_CORRELATION:g})"
    return make_dataset(
        name,
        images,
        labels,
        split_train(name, len(train), labels, groups),
        class_names=LETTERS,
        augmentation=Augmentation(shift_px=SIDE // PIXELS_PER_SHIFT),
        description=f"{about}; {note}",
        groups=groups,
    )


def _read(path: Path) -> Images:
    """Read one file: N x 785, the label first."""
    wanted = f"{TRAIN_FILE} and {TEST_FILE} as Kaggle's datamunge/sign-language-mnist has them"
    if not path.is_file():
        raise NotFound.of(missing(str(path), wanted))
    if path.stat().st_size > MAX_BYTES:
        text = f"has {path.stat().st_size:,} bytes, wanted at most {MAX_BYTES:,}: {wanted}"
        raise InvalidDataset.of(Violation(str(path), text))
    with (
        reading(path, f"rows of a label and 784 pixels, 0 to 255: {wanted}"),
        path.open(encoding="ascii") as file,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")  # numpy only warns of a file without rows
        header = file.readline(len(COLUMNS) + 2).strip()
        if header.replace('"', "") != COLUMNS:
            text = f"begins with {header[:40]!r}, wanted the columns label,pixel1,...,pixel784: {wanted}"
            raise InvalidDataset.of(Violation(str(path), text))
        rows = np.loadtxt(file, dtype=np.uint8, delimiter=",", comments=None, ndmin=2)
    if rows.shape[1] != 1 + SIDE * SIDE:
        text = f"has {rows.shape[1]} columns, wanted 785 (label and 28 x 28 pixels): {wanted}"
        raise InvalidDataset.of(Violation(str(path), text))
    good = (rows[:, 0] < len(ascii_uppercase) - 1) & (rows[:, 0] != ascii_uppercase.index("J"))
    if not good.all():
        row = int(np.argmin(good))
        text = f"row {row + 2} has the label {rows[row, 0]}, wanted 0 to 24 without 9 (J)"
        raise InvalidDataset.of(Violation(str(path), text))
    return rows
