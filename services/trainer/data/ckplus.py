"""CK+48: faces of the extended Cohn-Kanade set (Lucey et al. 2010), three late frames of each sequence.

A subject's frames look alike, so whole subjects go into a part: a split by file would measure how well faces
are remembered.
"""

from __future__ import annotations

import re
from pathlib import Path

from services.common.errors import InvalidDataset, NotFound, missing, violation
from services.trainer.data.dataset import Dataset
from services.trainer.data.folder import FolderOptions, Grouping, from_folder
from services.trainer.data.pictures import SUFFIXES

FOLDER = "CK+48"
CLASSES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
FILE = re.compile(r"S[0-9]{3}_[0-9]{3}_[0-9]{8}\.png", re.ASCII)
"""SUBJECT_SEQUENCE_FRAME.png"""

OPTIONS = FolderOptions(side=48, grey=True, flip=True, group=Grouping.PREFIX)


def read_ckplus(name: str, path: Path) -> Dataset:
    """Read the class folders; every file's name must say its subject.

    Parameters
    ----------
    name : str
    path : Path
        The folder ``CK+48``, or the one it is in.

    Raises
    ------
    NotFound, InvalidDataset
        A class folder is missing, a file is named otherwise or damaged.
    """
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    for expression in CLASSES:
        if not (folder / expression).is_dir():
            wanted = f"the folders {', '.join(CLASSES)} of 48x48 grey PNG files"
            raise NotFound.of(missing(str(folder / expression), wanted))
        for file in sorted((folder / expression).iterdir()):
            if file.suffix.lower() in SUFFIXES and not FILE.fullmatch(file.name):
                wanted = "subject, sequence and frame such as S010_004_00000017.png: the split is by subject"
                raise InvalidDataset.of(violation(str(file), file.name, wanted))
    about = "CK+48, grey faces of 7 expressions"
    return from_folder(name, folder, OPTIONS, about, CLASSES.__contains__, "subjects")
