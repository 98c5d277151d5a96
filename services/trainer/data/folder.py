"""Image files in a folder for each class, with or without ``train/`` and ``test/`` above them.

``dataset.toml`` beside them may set the `FolderOptions`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from services.common.codec import from_jsonable
from services.common.errors import InvalidDataset, NotFound, Violation, missing, violation
from services.common.files import parse_toml, read_file
from services.trainer.data.dataset import Augmentation, Dataset, Indices, make_dataset
from services.trainer.data.pictures import SUFFIXES, read_pictures
from services.trainer.data.similar import GROUP_CORRELATION, near_duplicate_groups
from services.trainer.data.split import split_all, split_train

OPTIONS_FILE = "dataset.toml"
PIXELS_PER_SHIFT = 8
"""Sides are shifted by an eighth: 4 pixels of 32, as is common for CIFAR-10."""

LAYOUT = "a folder for each class with its images, or train/ and test/ with such folders"


class Grouping(StrEnum):
    """What images must stay together in a part."""

    NONE = "none"
    PREFIX = "prefix"
    NEAR_DUPLICATES = "near-duplicates"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOptions:
    """What a folder's own ``dataset.toml`` may say.

    Parameters
    ----------
    side : int or None
        Of the square images as the network sees them, 4 to 512; None: see `read_pictures`.
    grey : bool or None
        One channel or three; None: one if every file is grey.
    flip : bool
        A mirrored image is still of its class.
    group : Grouping
        ``prefix``: file names up to the first ``_`` name a person or thing; ``near-duplicates``: images of a
        class that look alike; ``none``: each image stands for itself.
    """

    side: int | None = None
    grey: bool | None = None
    flip: bool = False
    group: Grouping = Grouping.NONE

    def __post_init__(self) -> None:
        if self.side is not None and not 4 <= self.side <= 512:
            raise InvalidDataset.of(violation("side", self.side, "4 to 512"))


def read_folder(name: str, path: Path) -> Dataset:
    """Read a folder of class folders.

    Raises
    ------
    NotFound, InvalidDataset
        No such folder or no images in it; an image or option that is wrong.
    """
    return from_folder(name, path, read_options(path, FolderOptions()), "pictures in class folders")


def read_options(folder: Path, defaults: FolderOptions) -> FolderOptions:
    """Read the folder's ``dataset.toml``, if there is one, over the defaults."""
    path = folder / OPTIONS_FILE
    if not path.exists():
        return defaults

    def parse(text: str) -> FolderOptions:
        return from_jsonable(FolderOptions, asdict(defaults) | parse_toml(text, InvalidDataset))

    return read_file(str(path), parse, InvalidDataset)


def from_folder(
    name: str,
    path: Path,
    options: FolderOptions,
    about: str,
    accept: Callable[[str], bool] = lambda class_name: True,
    prefixes: str = "prefixes of file names",
) -> Dataset:
    """Read class folders with the options given.

    Parameters
    ----------
    name : str
    path : Path
    options : FolderOptions
    about : str
        What the images are: the description begins with it.
    accept : callable
        Says of a folder's name whether it is a class; others are left out.
    prefixes : str
        What the prefixes of file names stand for.
    """
    has_parts = (path / "train").is_dir()
    if not has_parts and (path / "test").is_dir():
        raise NotFound.of(missing(str(path / "train"), f"it beside {path / 'test'}: {LAYOUT}"))
    roots = [path / "train", *([path / "test"] if (path / "test").is_dir() else [])] if has_parts else [path]
    found = [_class_files(root, accept) for root in roots]
    classes = sorted(found[0])
    if new := sorted(set(found[-1]) - set(classes)):
        text = (
            f"has the class {new[0]}, of which there is no training image; wanted those of {path / 'train'}"
        )
        raise InvalidDataset.of(Violation(str(path / "test"), text))
    listed = [(f, classes.index(c)) for part in found for c in sorted(part) for f in part[c]]
    files = [file for file, _ in listed]
    labels = np.array([label for _, label in listed], dtype=np.int64)
    pictures = read_pictures(path, files, options.side, options.grey)
    groups, grouped = _groups(options.group, prefixes, files, labels, pictures.images)
    if len(found) == 2:
        split = split_train(name, sum(map(len, found[0].values())), labels, groups)
        parts = "test/ is the test part"
    else:
        split = split_all(name, labels, groups)
        parts = "20 % put aside as the test part"
    side = pictures.images.shape[-1]
    return make_dataset(
        name,
        pictures.images,
        labels,
        split,
        class_names=tuple(classes),
        augmentation=Augmentation(flip=options.flip, shift_px=side // PIXELS_PER_SHIFT),
        description="; ".join(filter(None, (about, pictures.note, grouped, parts))),
        groups=groups,
    )


def _class_files(root: Path, accept: Callable[[str], bool]) -> dict[str, list[Path]]:
    """List the image files of each class folder, in the order of their names."""
    if not root.is_dir():
        raise NotFound.of(missing(str(root), LAYOUT))
    folders = [f for f in sorted(root.iterdir()) if f.is_dir() and not f.name.startswith(".")]
    classes = {}
    for folder in folders:
        if accept(folder.name):
            files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and f.is_file())
            if not files:
                wanted = f"images in it ({', '.join(sorted(SUFFIXES))}), or no such folder"
                raise InvalidDataset.of(Violation(str(folder), f"has no images, wanted {wanted}"))
            classes[folder.name] = files
    if not classes:
        raise InvalidDataset.of(Violation(str(root), f"has no class folders, wanted {LAYOUT}"))
    return classes


def _groups(
    group: Grouping, prefixes: str, files: list[Path], labels: Indices, images: np.ndarray
) -> tuple[Indices | None, str]:
    """Give each image the number of its group, and say how groups were found."""
    if group is Grouping.NONE:
        return None, ""
    if group is Grouping.PREFIX:
        _, groups = np.unique([file.name.partition("_")[0] for file in files], return_inverse=True)
        return groups.astype(np.int64), f"split by the {groups.max() + 1} {prefixes}"
    groups = near_duplicate_groups(images, labels)
    about = f"split by {groups.max() + 1:,} photographs (images correlated above {GROUP_CORRELATION:g})"
    return groups, about
