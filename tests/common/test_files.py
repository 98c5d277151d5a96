"""Whatever is wrong with a file that people write, the error names it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from services.common.errors import InvalidCandidate, InvalidChip, InvalidInput, NotFound
from services.common.files import write_file
from services.common.space import load_space
from services.hw_oracle.chips import load_chip

LOADERS = [(load_space, InvalidCandidate), (load_chip, InvalidChip)]

WRONG = {
    "bytes": b"\xff\xfe\x00",
    "too deep": b"a = " + b"[" * 100_000,
    "huge number": b"clock_mhz = 1" + b"0" * 5000,
    "no TOML": b"= 3",
    "unknown": b"nonsense = 3",
    "empty": b"",
    "no key": b"# nothing here\n[tile]\n",
}


@pytest.mark.parametrize(("load", "error"), LOADERS)
@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_by_its_name(
    load: Any, error: type[InvalidInput], content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    with pytest.raises(error) as caught:
        load(str(file))
    assert str(caught.value).startswith(f"{file}: ")


@pytest.mark.parametrize(("load", "error"), LOADERS)
def test_a_file_that_is_not_there_is_not_found(load: Any, error: type[InvalidInput]) -> None:
    with pytest.raises(NotFound, match=r"nowhere/mine\.toml: no such file"):
        load("nowhere/mine.toml")
    for path in ("a\0b.toml", "a" * 5000 + ".toml"):
        with pytest.raises(error, match="cannot be read"):
            load(path)


@pytest.mark.parametrize(("load", "error"), LOADERS)
def test_a_file_without_an_end_is_refused(load: Any, error: type[InvalidInput], tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.symlink_to("/dev/zero")
    with pytest.raises(error, match=r"x\.toml: this is too long: wanted at most 1048576 characters"):
        load(str(file))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.txt"
    write_file(file, b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_file(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.ini").mkdir()
    with pytest.raises(InvalidChip, match=r"x\.ini: cannot be read"):
        load_chip(str(tmp_path / "x.ini"))


@pytest.mark.parametrize("text", ["", "; nothing\n[Device level]\n"])
def test_an_ini_file_without_a_key_is_no_chip(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.ini"
    file.write_text(text)
    with pytest.raises(InvalidChip, match=r"x\.ini: this sets nothing"):
        load_chip(str(file))


def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    for file in (tmp_path / "x.png", tmp_path / "nowhere" / "x.png", tmp_path / ("x" * 300)):
        with pytest.raises(OSError, match="Errno") as caught:
            write_file(file, b"new")
        assert (caught.value.filename, caught.value.filename2) == (str(file), None)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644)])
def test_a_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_file(tmp_path / "x.txt", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "x.txt").stat().st_mode & 0o777 == mode
