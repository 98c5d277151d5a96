"""The one data set that may be downloaded: verified by its checksum, unpacked by name."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from gzip import BadGzipFile
from pathlib import Path, PurePosixPath
from typing import Any

from services.common.errors import InvalidDataset, Unavailable, Violation
from services.trainer.data import cifar10

TIMEOUT_S = 30.0
"""Longest silence of the server."""

CHUNK_BYTES = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A .tar.gz at a public address.

    Parameters
    ----------
    url : str
    sha256 : str
    folder : str
        The one folder in it.
    files : mapping of str to int
        What is needed of it, with sizes in bytes.
    """

    url: str
    sha256: str
    folder: str
    files: Mapping[str, int]

    @property
    def file(self) -> str:
        """Name of the archive itself."""
        return self.url.rpartition("/")[2]


CIFAR10 = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folder=cifar10.FOLDER,
    files=dict.fromkeys(
        (*cifar10.TRAIN_FILES, cifar10.TEST_FILE), cifar10.RECORD_BYTES * cifar10.MAX_RECORDS
    ),
)
"""The binary version, from its author's page, 170,052,171 bytes; the page gives its MD5,
c32a1d4ab5d03f1284b67883e8d87530, and others who verified that give this SHA-256."""


def is_fetched(archive: Archive, folder: Path) -> bool:
    """Say whether every file of the archive is in `folder`, in its full size."""
    files = [(folder / archive.folder / name, size) for name, size in archive.files.items()]
    return all(path.is_file() and path.stat().st_size == size for path, size in files)


def fetch(archive: Archive, folder: Path, progress: Any = None) -> Path:
    """Download an archive, verify and unpack it; one that lies in `folder` already is taken if it is right.

    Parameters
    ----------
    archive : Archive
    folder : Path
        Made if it is not there.
    progress : object, optional
        With `total`, `update`, `reset` and `close`, as pooch wants it.

    Returns
    -------
    Path
        The folder that was unpacked.

    Raises
    ------
    Unavailable
        The server cannot be reached, or the folder not be written.
    InvalidDataset
        What came has another checksum, or holds what it should not.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    by_hand = f"or get {archive.file} by other means, put it into {folder} and run this again: it is verified"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = pooch.retrieve(
            archive.url,
            known_hash=f"sha256:{archive.sha256}",
            fname=archive.file,
            path=folder,
            downloader=pooch.HTTPDownloader(progressbar=progress, chunk_size=CHUNK_BYTES, timeout=TIMEOUT_S),
        )
        target = _unpack(archive, Path(path), folder)
        Path(path).unlink()
    except requests.RequestException as error:
        cause: object = type(error).__name__  # its text is long and of no help
        if error.response is not None:
            cause = error
            error.response.close()  # pooch leaves it open
        raise Unavailable(f"cannot download {archive.url} ({cause}); try again, {by_hand}") from error
    except OSError as error:
        raise Unavailable(f"cannot write into {folder}: {error.strerror or error}") from error
    except ValueError as error:  # pooch: another hash
        text = f"what was downloaded has not the SHA-256 {archive.sha256}: try again, {by_hand}"
        raise InvalidDataset.of(Violation(archive.url, text)) from error
    return target


def _unpack(archive: Archive, path: Path, folder: Path) -> Path:
    """Unpack the files that are needed; anything outside the archive's folder refuses all of it."""
    target = folder / archive.folder
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{archive.folder}.") as temporary:
        try:
            with tarfile.open(path, "r:gz") as tar:
                for member in tar:
                    _extract(archive, path, tar, member, Path(temporary))
        except (tarfile.TarError, EOFError, BadGzipFile, zlib.error) as error:
            raise InvalidDataset.of(
                Violation(str(path), f"cannot be unpacked: {error}; remove it")
            ) from error
        unpacked = {file.name for file in Path(temporary).iterdir()}
        if absent := sorted(set(archive.files) - unpacked):
            raise InvalidDataset.of(Violation(str(path), f"has no {archive.folder}/{absent[0]}; remove it"))
        target.mkdir(exist_ok=True)
        for name in archive.files:
            os.replace(Path(temporary) / name, target / name)
    return target


def _extract(
    archive: Archive, path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, temporary: Path
) -> None:
    name = PurePosixPath(member.name)
    plain = member.isreg() or member.isdir()
    if not plain or name.parts[:1] != (archive.folder,) or ".." in name.parts:
        text = f"holds {member.name[:100]!r}, wanted files in {archive.folder}/ alone: nothing was unpacked"
        raise InvalidDataset.of(Violation(str(path), text))
    size = archive.files.get(name.name)
    if size is None or len(name.parts) != 2:
        if member.size > 2**20:
            text = f"holds {member.name[:100]!r} of {member.size:,} bytes, not needed: nothing was unpacked"
            raise InvalidDataset.of(Violation(str(path), text))
        return
    source = tar.extractfile(member)
    if source is None or member.size != size:
        text = f"{member.name} has {member.size:,} bytes, wanted {size:,}; remove it"
        raise InvalidDataset.of(Violation(str(path), text))
    with source, (temporary / name.name).open("wb") as file:
        shutil.copyfileobj(source, file)
