"""What trainings leave behind, one file each: checkpoints to go on from, weights to look at or take away."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import tempfile
import threading
from pathlib import Path

from services.common.closing import Closing
from services.common.errors import InvalidRequest, Violation

log = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 2 * 2**30
WEIGHTS, TRUNK = "weights", "trunk"


class Artifacts(Closing):
    """A folder of artifacts; those not used for longest make room for new ones.

    A file is written beside its place and moved there, so that a reader finds all of it or nothing. Losing
    one costs a training, never a result: what goes wrong on the disk is logged and counts as not there.

    Parameters
    ----------
    folder : Path, optional
        Made where absent; without one, a temporary folder that is made when needed and removed by `close`.
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
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            text = f"cannot make {folder} ({error.strerror}); give a folder that can be written to"
            raise InvalidRequest.of(Violation("artifacts", text)) from error

    def close(self) -> None:
        """Remove the folder, if it is a temporary one."""
        if self._is_temporary and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def put_weights(self, evaluation: str, data: bytes) -> None:
        """Keep the weights of an evaluation (its identity's name)."""
        self._put(f"{evaluation}.{WEIGHTS}", data)

    def weights(self, evaluation: str) -> bytes | None:
        """Give the weights of an evaluation, or None."""
        return self._get(f"{evaluation}.{WEIGHTS}")

    def put_checkpoint(self, trunk: str, epoch: int, data: bytes) -> None:
        """Keep what a trunk (its identity's name) had learnt after `epoch` epochs."""
        self._put(f"{trunk}.{epoch}.{TRUNK}", data)

    def checkpoint(self, trunk: str, most_epochs: int) -> bytes | None:
        """Give the checkpoint of a trunk with most epochs, of those with at most `most_epochs`; or None."""
        if self.folder is None:
            return None
        pattern = re.compile(rf"{trunk}\.(\d+)\.{TRUNK}")
        found = (pattern.fullmatch(name) for name in os.listdir(self.folder))
        epochs = [epoch for match in found if match and (epoch := int(match[1])) <= most_epochs]
        return self._get(f"{trunk}.{max(epochs)}.{TRUNK}") if epochs else None

    def _put(self, name: str, data: bytes) -> None:
        with self._lock:
            if self.folder is None:
                self.folder = Path(tempfile.mkdtemp(prefix="imcnas-"))
        path = self.folder / name
        beside = path.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}")
        try:
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
        if self.folder is None:
            return None
        path = self.folder / name
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
                with contextlib.suppress(FileNotFoundError):  # another process prunes, too
                    status = path.stat()
                    files.append((status.st_mtime_ns, status.st_size, path))
            total = sum(size for _, size, _ in files)
            for _, size, path in sorted(files):
                if total <= self._max_bytes:
                    break
                if path != newest and path.suffix in (f".{WEIGHTS}", f".{TRUNK}"):
                    path.unlink(missing_ok=True)
                    total -= size
