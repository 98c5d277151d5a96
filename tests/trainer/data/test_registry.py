from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from services.common.errors import InvalidDataset, InvalidRequest, NotFound
from services.trainer.data import Dataset, Registry, load_dataset, locate
from services.trainer.data.registry import Located
from tests.trainer.data.files import write_asl, write_cifar10, write_ckplus, write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trainer's folder with one of each."""
    folder = tmp_path_factory.mktemp("data")
    write_cifar10(folder)
    write_asl(folder)
    write_ckplus(folder)
    write_folder(folder / "pets")
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("")
    np.savez(folder / "mine.npz", x=np.zeros((40, 8, 8), dtype=np.uint8), y=np.arange(40) % 2)
    return folder


def test_the_folder_is_asked_by_name(folder: Path) -> None:
    registry = Registry(folder)
    assert registry.names() == ("digits", "digits-hard", "cifar10", "asl", "ckplus", "mine", "pets")
    classes = {name: registry.load(name).info.classes for name in registry.names()}
    assert classes == {
        "digits": 10, "digits-hard": 10, "cifar10": 10, "asl": 24, "ckplus": 7, "mine": 2, "pets": 2,
    }  # fmt: skip
    assert all(registry.load(name).info.name == name for name in registry.names())


def test_a_data_set_is_read_once_however_many_ask(folder: Path) -> None:
    registry = Registry(folder)
    with ThreadPoolExecutor(4) as threads:
        loaded = list(threads.map(registry.load, ["pets"] * 8))
    assert len(set(map(id, loaded))) == 1


def test_one_that_is_read_for_long_keeps_nobody_from_another() -> None:
    begun, go_on = Event(), Event()

    def read(name: str, path: Path) -> Dataset:
        begun.set()
        assert go_on.wait(10)
        return load_dataset("digits")

    registry = Registry(None, [Located(name="slow", path=Path(), read=read)])
    digits = registry.load("digits")
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(registry.load, "slow")
        assert begun.wait(10)
        assert registry.load("digits") is digits
        go_on.set()
        slow.result(10)


def test_a_fingerprint_depends_on_content_alone(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder / "pets", tmp_path / "other"))
    located = locate(f"folder:{copy}")
    moved = Registry(None, [located]).load("other").info
    assert moved.fingerprint == Registry(folder).load("pets").info.fingerprint
    (copy / "dataset.toml").write_text("flip = true\n")
    flipped = Registry(None, [located]).load("other").info
    assert flipped.fingerprint != moved.fingerprint


@pytest.mark.parametrize("name", ["cifar10", "asl", "ckplus"])
def test_absent_files_are_told_with_where_they_were_looked_for_and_how_to_get_them(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(NotFound) as error:
        Registry(tmp_path).load(name)
    told = str(error.value)
    assert f"looked for {tmp_path}" in told
    how = {"cifar10": "imcnas data fetch cifar10", "asl": "kaggle datasets download", "ckplus": "agreement"}
    assert how[name] in told


def test_without_a_folder_its_setting_is_named() -> None:
    with pytest.raises(NotFound, match=r"no data folder is set.*IMCNAS_TRAINER_DATA"):
        load_dataset("ckplus")


def test_a_damaged_file_is_tried_again_once_it_is_mended(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    (tmp_path / "mine.npz").write_bytes(b"half")
    with pytest.raises(InvalidDataset, match="cannot be read"):
        registry.load("mine")
    np.savez(tmp_path / "mine.npz", x=np.zeros((40, 8, 8), dtype=np.uint8), y=np.arange(40) % 2)
    assert registry.load("mine").info.classes == 2


def test_files_that_may_not_be_opened_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    write_folder(tmp_path / "pets")
    registry = Registry(tmp_path)
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InvalidDataset, match=r"pets: cannot be read: Permission denied"):
        registry.load("pets")
    assert registry.names() == ("digits", "digits-hard")


OUTSIDE = [
    "../mine",
    "a/../../b",
    "/etc/passwd",
    "..",
    ".",
    "",
    "folder:/etc",
    "npz:/x.npz",
    "a\\b",
    "x" * 65,
    "é",
    "a\0",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_path_is_no_name(folder: Path, name: str) -> None:
    (folder.parent / "mine.npz").write_bytes(b"")
    with pytest.raises(
        NotFound, match=r"wanted one of digits, .*; files are found by name .*, never by path"
    ):
        Registry(folder).load(name)


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        ("folder", "pets", "pets"),
        ("npz", "mine.npz", "mine"),
        ("cifar10", "cifar-10-batches-bin", "cifar10"),
        ("cifar10", "", "cifar10"),
        ("asl", "", "asl"),
        ("asl", "sign_mnist_train.csv", "asl"),
        ("ckplus", "CK+48", "ckplus"),
    ],
)
def test_the_command_may_name_a_path(folder: Path, kind: str, path: str, name: str) -> None:
    located = locate(f"{kind}:{folder / path}")
    assert located.name == name
    registry = Registry(None, [located])
    assert registry.load(name).info.fingerprint == Registry(folder).load(name).info.fingerprint


def test_a_path_of_an_unknown_kind_is_refused_with_the_kinds() -> None:
    with pytest.raises(
        InvalidRequest, match=r"one of cifar10, asl, ckplus, folder, npz \(did you mean folder"
    ):
        locate("flder:/x")


@pytest.mark.parametrize("text", ["npz:/nowhere/x.npz", "folder:"])
def test_a_path_that_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(NotFound, match="there is no such path"):
        locate(text)


@pytest.mark.parametrize("name", ["digits.npz", "cifar10.npz", "my set.npz", "-x.npz"])
def test_a_file_must_have_a_name_of_its_own(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InvalidRequest, match="rename it"):
        locate(f"npz:{tmp_path / name}")
