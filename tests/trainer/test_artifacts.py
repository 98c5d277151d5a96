"""Files of trainings: what makes room, what is left behind, and disks that fail."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from services.trainer.artifacts import LEFT_BEHIND_S, Artifacts


def test_the_oldest_artifacts_make_room(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path, max_bytes=250)
    for number in range(3):
        artifacts.put_weights(f"{number:064}", b"x" * 100)
        artifacts.put_checkpoint(f"{number:064}", 7, b"x" * 10)
    assert artifacts.weights(f"{2:064}") == b"x" * 100
    assert artifacts.weights(f"{0:064}") is None
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 250


def test_the_checkpoint_of_most_epochs_that_may_be_used_is_found(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    for epoch in (2, 10, 4):
        artifacts.put_checkpoint("a" * 64, epoch, str(epoch).encode())
    assert artifacts.checkpoint("a" * 64, 9) == b"4"
    assert artifacts.checkpoint("a" * 64, 10) == b"10"
    assert artifacts.checkpoint("a" * 64, 1) is None
    assert artifacts.checkpoint("b" * 64, 10) is None


def test_files_of_others_are_neither_counted_nor_touched(tmp_path: Path) -> None:
    (tmp_path / "large.weights").write_bytes(b"x" * 1000)
    artifacts = Artifacts(tmp_path, max_bytes=250)
    for number in range(2):
        artifacts.put_weights(f"{number:064}", b"x" * 100)
    assert artifacts.has_weights(f"{0:064}")
    assert (tmp_path / "large.weights").exists()


def test_what_a_process_that_died_had_not_finished_is_removed(tmp_path: Path) -> None:
    old, fresh = (tmp_path / f".{'a' * 64}.7.trunk.{pid}.1" for pid in (1, 2))
    for path in (old, fresh):
        path.write_bytes(b"x" * 1000)
    long_ago = time.time() - LEFT_BEHIND_S - 1
    os.utime(old, (long_ago, long_ago))
    artifacts = Artifacts(tmp_path, max_bytes=250)
    for number in range(2):
        artifacts.put_weights(f"{number:064}", b"x" * 100)
    assert artifacts.has_weights(f"{0:064}")
    assert (old.exists(), fresh.exists()) == (False, True)


def test_a_folder_that_is_gone_counts_as_empty_and_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    shutil.rmtree(tmp_path / "artifacts")
    assert artifacts.checkpoint("a" * 64, 10) is None
    assert "cannot be looked for" in caplog.text
    artifacts.put_checkpoint("a" * 64, 4, b"4")
    assert artifacts.checkpoint("a" * 64, 10) == b"4"


def test_nothing_is_left_of_a_temporary_folder_whatever_comes_after_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Artifacts() as artifacts:
        artifacts.put_weights("a" * 64, b"x")
        assert artifacts.has_weights("a" * 64)
    artifacts.put_weights("b" * 64, b"x")
    assert not artifacts.has_weights("b" * 64)
    assert list(tmp_path.iterdir()) == []
