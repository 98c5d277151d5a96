"""NumPy archives: ``x_train``, ``y_train``, ``x_test``, ``y_test``, or ``x`` and ``y`` to be split here.

Optional: ``group_train`` or ``group`` (images of one number stay together), ``class_names``, ``flip`` (a
mirrored image is still of its class). Pickles are never opened.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from services.common.errors import InvalidDataset, NotFound, Violation, missing
from services.trainer.data.dataset import (
    MAX_BYTES,
    Augmentation,
    Dataset,
    Images,
    Indices,
    check_bytes,
    make_dataset,
    reading,
)
from services.trainer.data.folder import PIXELS_PER_SHIFT
from services.trainer.data.split import split_all, split_train

KEYS = "x_train, y_train, x_test and y_test, or x and y"
WANTED = f"an .npz file with {KEYS}"
PIXELS = "uint8 images, N x side x side or N x side x side x channels (1 or 3), with sides of 4 to 512"
MAX_CLASSES = 1000
MAX_LABEL_BYTES = 2**26
"""Of every array but the images: eight million labels."""

Array = np.ndarray[Any, Any]


def read_npz(name: str, path: Path) -> Dataset:
    """Read an archive; images that are not square are cropped to the central square.

    Raises
    ------
    NotFound
        No such file.
    InvalidDataset
        It is no archive, a key is missing, an array has another type or shape, or holds pickled objects.
    """
    if not path.is_file():
        raise NotFound.of(missing(str(path), WANTED))
    with reading(path, WANTED):
        archive = zipfile.ZipFile(path)
    with archive:
        return _Reader(path, archive).dataset(name)


class _Reader:
    """One open archive."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._keys = {n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")}

    def dataset(self, name: str) -> Dataset:
        parts = ("_train", "_test") if "x_train" in self._keys else ("",)
        read = [self._part(part) for part in parts]
        shapes = {images.shape[1:] for images, _, _ in read}
        if len(shapes) > 1:
            self._refuse("x_test", f"has images of another shape than x_train: {sorted(shapes)}")
        check_bytes(self._path, sum(len(part[1]) for part in read), shapes.pop())
        images, labels = (np.concatenate([part[i] for part in read]) for i in (0, 1))
        groups = self._groups([part[2] for part in read], len(labels))
        names, labels = self._class_names(labels, len(read[0][1]))
        height, width = images.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        about = [f"{len(labels):,} images of a NumPy archive"]
        if height != width:
            about.append(f"cropped from {width}x{height} to the central {side}x{side}")
        if groups is not None:
            about.append(f"split by {len(np.unique(groups[: len(read[0][1])])):,} groups")
        if len(parts) == 2:
            split = split_train(name, len(read[0][1]), labels, groups)
            about.append("x_test is the test part")
        else:
            split = split_all(name, labels, groups)
            about.append("20 % put aside as the test part")
        return make_dataset(
            name,
            images[:, :, top : top + side, left : left + side],
            labels,
            split,
            class_names=names,
            augmentation=Augmentation(flip=self._flip(), shift_px=side // PIXELS_PER_SHIFT),
            description="; ".join(about),
            groups=groups,
        )

    def _part(self, part: str) -> tuple[Images, Indices, Indices | None]:
        """Read images (N x channels x height x width), labels and groups of one part."""
        images, labels = self._array(f"x{part}", MAX_BYTES), self._array(f"y{part}")
        shape = images.shape if images.ndim == 4 else (*images.shape, 1)
        sides_fit = len(shape) == 4 and all(4 <= side <= 512 for side in shape[1:3]) and shape[3] in (1, 3)
        if images.dtype != np.uint8 or not sides_fit or not len(images):
            self._refuse(f"x{part}", f"is {images.dtype} of {images.shape}, wanted {PIXELS}")
        group = self._array(f"group{part}") if f"group{part}" in self._keys else None
        for key, array in ((f"y{part}", labels), (f"group{part}", group)):
            if array is not None and (array.dtype.kind not in "iu" or array.shape != (len(images),)):
                self._refuse(key, f"is {array.dtype} of {array.shape}, wanted {len(images)} integers")
        pixels = np.ascontiguousarray(images.reshape(shape).transpose(0, 3, 1, 2))
        return pixels, labels.astype(np.int64), None if group is None else group.astype(np.int64)

    def _groups(self, parts: list[Indices | None], count: int) -> Indices | None:
        """Give groups numbers from 0; an image of a test part without groups is its own."""
        given = [part for part in parts if part is not None]
        if not given:
            return None
        if parts[0] is None:
            self._refuse("group_train", "is missing, wanted it beside group_test")
        _, known = np.unique(np.concatenate(given), return_inverse=True)
        return np.concatenate([known, known.max() + 1 + np.arange(count - len(known))])

    def _class_names(self, labels: Indices, train: int) -> tuple[tuple[str, ...], Indices]:
        """Name the labels that occur in training, and number them from 0."""
        used = np.unique(labels[:train])
        if len(used) > MAX_CLASSES:
            self._refuse("y", f"has {len(used):,} different labels, wanted at most {MAX_CLASSES}")
        if unknown := set(np.unique(labels).tolist()) - set(used.tolist()):
            self._refuse("y_test", f"has the label {min(unknown)}, of which there is no training image")
        names = [str(label) for label in used]
        if "class_names" in self._keys:
            given = self._array("class_names")
            if given.dtype.kind != "U" or given.ndim != 1 or used[0] < 0 or used[-1] >= len(given):
                wanted = f"{used[-1] + 1} texts, one for each label from 0"
                self._refuse("class_names", f"is {given.dtype} of {given.shape}, wanted {wanted}")
            names = [str(given[label]) for label in used]
        return tuple(names), np.searchsorted(used, labels)

    def _flip(self) -> bool:
        if "flip" not in self._keys:
            return False
        flip = self._array("flip")
        if flip.dtype != np.bool_ or flip.shape != ():
            self._refuse("flip", f"is {flip.dtype} of {flip.shape}, wanted one bool")
        return bool(flip)

    def _array(self, key: str, limit: int = MAX_LABEL_BYTES) -> Array:
        """Read one array, after its header said that it is plain and of bounded size."""
        if key not in self._keys:
            raise InvalidDataset.of(missing(f"{self._path}: {key}", KEYS))
        with reading(self._path, WANTED):
            with self._archive.open(f"{key}.npy") as file:
                if np.lib.format.read_magic(file) != (1, 0):  # later ones may have headers of gigabytes
                    self._refuse(key, "is not of version 1.0 of the NPY format; write it with numpy.savez")
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype.hasobject or dtype.names:
                self._refuse(key, f"holds {dtype}, wanted plain numbers or texts: pickles are never opened")
            if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > limit:
                wanted = f"at most {limit:,} bytes; use fewer or smaller images"
                self._refuse(key, f"is {dtype} of {shape}, wanted {wanted}")
            with self._archive.open(f"{key}.npy") as file:
                array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array

    def _refuse(self, key: str, text: str) -> None:
        raise InvalidDataset.of(Violation(f"{self._path}: {key}", text))
