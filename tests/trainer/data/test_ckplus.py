from __future__ import annotations

from pathlib import Path

import pytest

from services.common.errors import InvalidDataset, NotFound
from services.common.layers import Shape
from services.trainer.data import Augmentation, Dataset
from services.trainer.data.ckplus import CLASSES, read_ckplus
from tests.trainer.data.files import write_ckplus


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ckplus(tmp_path_factory.mktemp("ck"))


@pytest.fixture(scope="module")
def data(folder: Path) -> Dataset:
    return read_ckplus("ckplus", folder)


def test_faces_are_grey_48_pixels_of_seven_expressions_and_may_be_mirrored(data: Dataset) -> None:
    assert data.info.input_shape == Shape(channels=1, height=48, width=48)
    assert data.class_names == CLASSES
    assert data.augmentation == Augmentation(flip=True, shift_px=6)
    assert data.info.description.startswith("CK+48, grey faces of 7 expressions; split by the 30 subjects")


def test_no_subject_is_in_two_parts(folder: Path, data: Dataset) -> None:
    files = [file for c in CLASSES for file in sorted((folder / c).iterdir())]
    subject = [file.name.partition("_")[0] for file in files]
    parts = [{subject[i] for i in part} for part in data.parts.values()]
    assert sum(map(len, parts)) == 30
    assert all(len(part) >= 4 for part in parts)
    assert sum(map(len, data.parts.values())) == len(files) == 180


def test_the_folder_that_holds_it_will_do(folder: Path, data: Dataset) -> None:
    assert read_ckplus("ckplus", folder.parent).info == data.info


def test_a_missing_expression_is_named(tmp_path: Path) -> None:
    folder = write_ckplus(tmp_path, 12)
    (folder / "fear").rename(folder / "scared")
    with pytest.raises(NotFound, match=r"fear: is missing, wanted the folders anger, contempt"):
        read_ckplus("ckplus", folder)


@pytest.mark.parametrize("name", ["17.png", "S10_004_00000017.png", "S010_004_00000017.jpg", "a_b_c.PNG"])
def test_a_file_that_does_not_name_its_subject_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_ckplus(tmp_path, 12)
    next((folder / "happy").iterdir()).rename(folder / "happy" / name)
    with pytest.raises(InvalidDataset, match="the split is by subject"):
        read_ckplus("ckplus", folder)


def test_one_subject_cannot_be_split(tmp_path: Path) -> None:
    folder = write_ckplus(tmp_path, 12)
    for n, file in enumerate(sorted(folder.glob("*/*.png"))):
        file.rename(file.with_name(f"S001_001_{n:08}.png"))
    with pytest.raises(InvalidDataset, match="all images are of one group"):
        read_ckplus("ckplus", folder)
