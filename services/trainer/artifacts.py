"""What trainings leave behind, one file each: checkpoints to go on from, weights to look at or take away."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from pathlib import Path

from services.common.closing import Closing
from services.common.errors import InvalidRequest, Violation

log = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 2 * 2**30
WEIGHTS, TRUNK = "weights", "trunk"

_OURS = re.compile(rf"\.?[0-9a-f]{{64}}(\.[0-9]+)?\.({WEIGHTS}|{TRUNK})(\.[0-9]+\.[0-9]+)?")
"""Names of files that are written here; with a dot before, of those not yet in their place."""

LEFT_BEHIND_S = 3600.0
"""A file that is written for longer was left by a process that died: it is removed."""


class Artifacts(Closing):
    """A folder of artifacts; those not used for longest make room for new ones.

    A file is written beside its place and moved there, so that a reader finds all of it or nothing. Losing
    one costs a training, never a result: what goes wrong on the disk is logged and counts as not there.

    Parameters
    ----------
    folder : Path, optional
        Made where absent; without one, a temporary folder that is made when needed and removed by `close`.
        Files of others in it are neither counted nor touched.
    max_bytes : int
        Size of all together; the newest one may exceed it alone.

    Raises
    ------
    InvalidRequest
        The folder cannot be made.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.folder = folder
        self._is_temporary = folder is None
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._closed = False
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            text = f"cannot make {folder} ({error.strerror}); give a folder that can be written to"
            raise InvalidRequest.of(Violation("artifacts", text)) from error

    def close(self) -> None:
        """Remove the folder, if it is a temporary one; what comes later is not kept."""
        with self._lock:
            self._closed = True
            if self._is_temporary and self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder = None

    def put_weights(self, evaluation: str, data: bytes) -> None:
        """Keep the weights of an evaluation (its identity's name)."""
        self._put(f"{evaluation}.{WEIGHTS}", data)

    def weights(self, evaluation: str) -> bytes | None:
        """Give the weights of an evaluation, or None."""
        return self._get(f"{evaluation}.{WEIGHTS}")

    def has_weights(self, evaluation: str) -> bool:
        """Whether the weights of an evaluation are kept."""
        folder = self.folder
        return folder is not None and os.path.isfile(folder / f"{evaluation}.{WEIGHTS}")

    def drop_weights(self, evaluation: str) -> None:
        """Keep the weights of an evaluation no longer."""
        folder = self.folder
        if folder is not None:
            with contextlib.suppress(OSError):
                (folder / f"{evaluation}.{WEIGHTS}").unlink(missing_ok=True)

    def put_checkpoint(self, trunk: str, epoch: int, data: bytes) -> None:
        """Keep what a trunk (its identity's name) had learnt after `epoch` epochs."""
        self._put(f"{trunk}.{epoch}.{TRUNK}", data)

    def checkpoint(self, trunk: str, most_epochs: int) -> bytes | None:
        """Give the checkpoint of a trunk with most epochs, of those with at most `most_epochs`; or None."""
        folder = self.folder
        if folder is None:
            return None
        pattern = re.compile(rf"{trunk}\.([0-9]+)\.{TRUNK}")
        try:
            found = [pattern.fullmatch(name) for name in os.listdir(folder)]
        except OSError as error:
            log.warning("checkpoints cannot be looked for: %s", error)
            return None
        epochs = [epoch for match in found if match and (epoch := int(match[1])) <= most_epochs]
        return self._get(f"{trunk}.{max(epochs)}.{TRUNK}") if epochs else None

    def _put(self, name: str, data: bytes) -> None:
        with self._lock:
            if self._closed:
                return
            if self.folder is None:
                self.folder = Path(tempfile.mkdtemp(prefix="imcnas-"))
            folder = self.folder
        path = folder / name
        beside = path.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}")
        try:
            if not self._is_temporary:  # which may have been removed just now, for good
                folder.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            self._prune(path)
        except OSError as error:
            log.warning("artifact %s is not kept: %s", name, error)
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)

    def _get(self, name: str) -> bytes | None:
        folder = self.folder
        if folder is None:
            return None
        path = folder / name
        try:
            data = path.read_bytes()
            os.utime(path)  # used now
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("artifact %s cannot be read: %s", name, error)
            return None
        return data

    def _prune(self, newest: Path) -> None:
        with self._lock:
            files = []
            for path in newest.parent.iterdir():
                if not _OURS.fullmatch(path.name):
                    continue
                with contextlib.suppress(FileNotFoundError):  # another process prunes, too
                    status = path.stat()
                    if not path.name.startswith("."):
                        files.append((status.st_mtime_ns, status.st_size, path))
                    elif time.time() - status.st_mtime > LEFT_BEHIND_S:
                        path.unlink()
            total = sum(size for _, size, _ in files)
            for _, size, path in sorted(files):
                if total <= self._max_bytes:
                    break
                if path != newest:
                    path.unlink(missing_ok=True)
                    total -= size
