"""The data sets there are: some offline, the others in one folder that the trainer is set up with.

A data set is asked for by its name alone, so whoever asks over the network can open nothing but what lies in
that folder. A path (`locate`) is for the command, on the machine where the files are.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os.path import exists  # unlike Path.exists, False where one may not look
from pathlib import Path

from services.common.errors import (
    InvalidDataset,
    InvalidRequest,
    NotFound,
    Violation,
    missing,
    one_of,
    violation,
)
from services.trainer.data import asl, cifar10, ckplus
from services.trainer.data.dataset import Dataset
from services.trainer.data.digits import read_digits, read_digits_hard
from services.trainer.data.folder import read_folder
from services.trainer.data.npz import read_npz

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)
"""No slash and no leading dot: joined to a folder it stays in it."""

SETTING = "IMCNAS_TRAINER_DATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Official:
    """A data set that everybody knows by one name.

    Parameters
    ----------
    read : callable
        Reads the data set of a name from a path.
    places : tuple of str
        Where in the trainer's folder its files may be; none where it comes with scikit-learn.
    about : str
        One line for people.
    get : str
        How to get it; ``{folder}`` is the trainer's folder.
    """

    read: Callable[[str, Path], Dataset]
    places: tuple[str, ...] = ()
    about: str
    get: str = ""


OFFICIAL = {
    "digits": Official(read=lambda name, _: read_digits(name), about="1,797 handwritten digits, 1x8x8"),
    "digits-hard": Official(
        read=lambda name, _: read_digits_hard(name), about="the same with noise, fewer to train on"
    ),
    "cifar10": Official(
        read=cifar10.read_cifar10,
        places=(cifar10.FOLDER,),
        about="60,000 photographs of 10 classes, 3x32x32",
        get=f"imcnas data fetch cifar10, or put the official {cifar10.FOLDER} into {{folder}}",
    ),
    "asl": Official(
        read=asl.read_asl,
        places=("asl", asl.TRAIN_FILE),
        about="Sign Language MNIST: 34,627 hands, 24 letters, 1x28x28",
        get=(
            "with a Kaggle account: kaggle datasets download -d datamunge/sign-language-mnist --unzip "
            f"-p {{folder}}, so that {asl.TRAIN_FILE} and {asl.TEST_FILE} are in it; "
            "or your own pictures as {folder}/asl/LETTER/*.png"
        ),
    ),
    "ckplus": Official(
        read=ckplus.read_ckplus,
        places=(ckplus.FOLDER,),
        about="CK+48: 981 faces, 7 expressions, 1x48x48",
        get=(
            "CK+ is given out under a signed agreement that forbids passing it on "
            "(http://www.pitt.edu/~emotion/ck-spread.htm); put its 48x48 faces into "
            f"{{folder}}/{ckplus.FOLDER}/EXPRESSION/ under names such as S010_004_00000017.png"
        ),
    ),
}
"""Data sets by name."""

FILES = {name: official.read for name, official in OFFICIAL.items() if official.places} | {
    "folder": read_folder,
    "npz": read_npz,
}
"""Readers of what a path can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A data set at a path: its name, and who reads it."""

    name: str
    path: Path
    read: Callable[[str, Path], Dataset]


def locate(text: str) -> Located:
    """Read ``KIND:PATH`` such as ``folder:pictures/flowers``; never called on what came over the network.

    The name is that of the kind, or of a `folder` or `npz` file itself.

    Raises
    ------
    InvalidRequest
        Another kind, or a file whose name is not one for a data set.
    NotFound
        Nothing is at the path.
    """
    kind, _, place = text.partition(":")
    if kind not in FILES:
        wanted = f"a name, or KIND:PATH with a kind that is {one_of(FILES, kind)}"
        raise InvalidRequest.of(violation("dataset", text, wanted))
    path = Path(place).expanduser()
    if not place or not exists(path):
        raise NotFound.of(missing(str(path) if place else text, "files to read; there is no such path"))
    resolved = path.resolve()
    name = kind if kind in OFFICIAL else (resolved.stem if kind == "npz" else resolved.name)
    if kind not in OFFICIAL and (not NAME.fullmatch(name) or name in OFFICIAL):
        wanted = "a name of letters, digits and . _ + - that no other data set has; rename it"
        raise InvalidRequest.of(violation("dataset", name, wanted))
    return Located(name=name, path=path, read=FILES[kind])


class Registry:
    """Reads data sets by name, each once; safe in many threads.

    Parameters
    ----------
    folder : Path, optional
        Where files are: those of official data sets in their `places`, others as ``NAME/`` or ``NAME.npz``.
    located : iterable of Located
        Found at a path of their own, before the folder is looked into.
    """

    def __init__(self, folder: Path | None = None, located: Iterable[Located] = ()) -> None:
        self.folder = folder
        self._located = {one.name: one for one in located}
        self._loaded: dict[str, Dataset] = {}
        self._lock = threading.Lock()

    def names(self) -> tuple[str, ...]:
        """Names of the data sets that are there."""
        here = [name for name, one in OFFICIAL.items() if not one.places or self.find(name)]
        return tuple(dict.fromkeys((*here, *self._located, *self._own())))

    def load(self, name: str) -> Dataset:
        """Load a data set; a second call gives the same object.

        Raises
        ------
        NotFound
            No data set of that name, as of a path, or its files are not there: says how to get them.
        InvalidDataset
            A file is damaged.
        """
        if (loaded := self._loaded.get(name)) is not None:  # nobody waits here while another one is read
            return loaded
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._read(name)
            return self._loaded[name]

    def find(self, name: str) -> Located | None:
        """Say where the files of a data set are; None if they are not there, or it needs none."""
        if name in self._located:
            return self._located[name]
        if self.folder is None or not NAME.fullmatch(name):
            return None
        if name in OFFICIAL:
            readers = [(self.folder / place, OFFICIAL[name].read) for place in OFFICIAL[name].places]
        else:
            readers = [(self.folder / name, read_folder), (self.folder / f"{name}.npz", read_npz)]
        found = [Located(name=name, path=path, read=read) for path, read in readers if exists(path)]
        return found[0] if found else None

    def how_to_get(self, name: str) -> str:
        """Say how to get the files of an official data set."""
        return OFFICIAL[name].get.format(folder=self.folder or f"the folder that {SETTING} names")

    def _read(self, name: str) -> Dataset:
        if located := self.find(name):
            try:
                return located.read(name, located.path)
            except OSError as error:
                text = f"cannot be read: {error.strerror or error}"
                raise InvalidDataset.of(Violation(str(error.filename or located.path), text)) from error
        if name not in OFFICIAL:
            known = one_of(dict.fromkeys((*OFFICIAL, *self.names())), name)
            path = f"files are found by name in the trainer's data folder ({SETTING}), never by path"
            raise NotFound.of(violation("dataset", name, known, "" if NAME.fullmatch(name) else path))
        if not OFFICIAL[name].places:
            return OFFICIAL[name].read(name, Path())
        places = " and ".join(str((self.folder or Path()) / place) for place in OFFICIAL[name].places)
        where = f"looked for {places}" if self.folder else "no data folder is set"
        raise NotFound.of(
            Violation(name, f"its files are not there ({where}). To get it: {self.how_to_get(name)}")
        )

    def _own(self) -> list[str]:
        """List the data sets in the folder that are not official."""
        if self.folder is None:
            return []
        taken = {place for one in OFFICIAL.values() for place in one.places}
        files = [file for file in _inside(self.folder) if file.name not in taken]
        names = [f.stem for f in files if f.suffix == ".npz"]
        names += [f.name for f in files if any(inner.is_dir() for inner in _inside(f))]
        return [name for name in names if NAME.fullmatch(name) and name not in OFFICIAL]


def _inside(folder: Path) -> list[Path]:
    """List a folder; what is none, or may not be read, has nothing in it."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


_OFFLINE = Registry()


def dataset_names() -> tuple[str, ...]:
    """Names of the data sets that need no files."""
    return _OFFLINE.names()


def load_dataset(name: str) -> Dataset:
    """Load a data set that needs no files, as `Registry.load` does."""
    return _OFFLINE.load(name)
