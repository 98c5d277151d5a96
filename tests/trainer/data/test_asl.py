from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from services.common.errors import InvalidDataset, NotFound
from services.common.layers import Shape
from services.trainer.data import Augmentation
from services.trainer.data.asl import read_asl
from services.trainer.data.check import check_dataset
from tests.trainer.data.files import CSV_HEAD, photographs, write_asl


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_asl(tmp_path_factory.mktemp("asl"))


@pytest.fixture
def folder(official: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(official, tmp_path / "asl"))


def test_the_letters_are_numbered_without_j_and_z(official: Path) -> None:
    data = read_asl("asl", official)
    assert data.class_names == tuple("ABCDEFGHIKLMNOPQRSTUVWXY")
    assert data.info.input_shape == Shape(channels=1, height=28, width=28)
    rows = np.loadtxt(official / "sign_mnist_train.csv", delimiter=",", skiprows=1, dtype=np.uint8)
    assert np.array_equal(data.images[: len(rows), 0].reshape(len(rows), 784), rows[:, 1:])
    assert [data.class_names[i] for i in data.labels[:360:15]] == [*"ABCDEFGHIKLMNOPQRSTUVWXY"]
    assert data.augmentation == Augmentation(flip=False, shift_px=3)


def test_validation_takes_whole_photographs_and_the_official_test_part_stays(official: Path) -> None:
    data = read_asl("asl", official)
    assert data.info.test_images == 24 * 3
    assert (data.info.train_images, data.info.validation_images) == (24 * 12, 24 * 3)
    photograph = np.arange(24 * 6 * 3) // 3  # three variants each, in order
    assert not set(photograph[data.train]) & set(photograph[data.validation])
    assert "by whole photographs, of 120" in data.info.description


def test_the_training_file_names_the_folder_as_well(official: Path) -> None:
    assert read_asl("asl", official / "sign_mnist_train.csv").info == read_asl("asl", official).info


def test_a_missing_test_file_is_named(folder: Path) -> None:
    (folder / "sign_mnist_test.csv").unlink()
    with pytest.raises(NotFound, match=r"sign_mnist_test\.csv: is missing, .*sign-language-mnist"):
        read_asl("asl", folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "begins with '', wanted the columns label,pixel1,"),
        ("a,b\n1,2\n", "begins with 'a,b', wanted the columns"),
        (f"{CSV_HEAD}\n", "cannot be read"),
        (f"{CSV_HEAD}\n1,2,3\n", "has 3 columns, wanted 785"),
        (f"{CSV_HEAD}\n0{',7' * 784}\n0,7\n", "number of columns changed from 785 to 2"),
        (f"{CSV_HEAD}\n0{',7' * 783},256\n", "could not convert string '256' to uint8"),
        (f"{CSV_HEAD}\n0{',7' * 783},-1\n", "could not convert string '-1' to uint8"),
        (f"{CSV_HEAD}\n9{',7' * 784}\n", "row 2 has the label 9, wanted 0 to 24 without 9"),
        (f"{CSV_HEAD}\n0{',7' * 784}\n25{',7' * 784}\n", "row 3 has the label 25"),
        (f"{CSV_HEAD}\n0{',7' * 783},é\n", "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(folder: Path, content: str, told: str) -> None:
    (folder / "sign_mnist_test.csv").write_text(content, "utf-8")
    with pytest.raises(InvalidDataset) as error:
        read_asl("asl", folder)
    assert told in str(error.value)
    assert "sign_mnist_test.csv" in str(error.value)


def test_a_file_without_an_end_is_refused_unread(folder: Path) -> None:
    with (folder / "sign_mnist_train.csv").open("r+b") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(InvalidDataset, match="1,099,511,627,776 bytes, wanted at most"):
        read_asl("asl", folder)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text('0123456789,-.\n "x\x00', max_size=300))
def test_no_text_breaks_the_reader(folder: Path, text: str) -> None:
    (folder / "sign_mnist_test.csv").write_text(f"{CSV_HEAD}\n{text}", "ascii")
    with pytest.raises(InvalidDataset, match=r"sign_mnist_test\.csv"):
        read_asl("asl", folder)


def test_a_letter_of_one_photograph_is_trained_on_and_its_absence_elsewhere_is_told(folder: Path) -> None:
    lines = (folder / "sign_mnist_train.csv").read_text().splitlines(keepends=True)
    (folder / "sign_mnist_train.csv").write_text("".join(lines[:4] + lines[16:]))  # A's first photograph only
    data = read_asl("asl", folder)
    assert (data.labels[data.train] == 0).sum() == 3
    assert check_dataset(data).findings == ("the validation part has no image of A",)


def test_a_letter_without_a_training_image_is_refused(folder: Path) -> None:
    lines = (folder / "sign_mnist_train.csv").read_text().splitlines(keepends=True)
    (folder / "sign_mnist_train.csv").write_text("".join(lines[:1] + lines[16:]))
    with pytest.raises(InvalidDataset, match="nothing to train class A on"):
        read_asl("asl", folder)


def test_letter_folders_are_read_in_grey_at_28_pixels_and_split_by_photograph(tmp_path: Path) -> None:
    for letter, seed in (("A", 1), ("B", 2), ("del", 3)):
        (tmp_path / letter).mkdir()
        images = photographs(8, 3, 40, seed)
        for n, pixels in enumerate(images):
            Image.fromarray(np.stack([pixels] * 3, axis=2)).save(tmp_path / letter / f"{n:03}.png")
    data = read_asl("asl", tmp_path)
    assert data.class_names == ("A", "B")
    assert data.info.input_shape == Shape(channels=1, height=28, width=28)
    photograph = np.arange(48) // 3
    parts = [set(photograph[part]) for part in data.parts.values()]
    assert sum(map(len, parts)) == 16
    assert "split by 16 photographs" in data.info.description
    assert "resized to 28x28 (files are 40x40)" in data.info.description


def test_nothing_to_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="has no class folders"):
        read_asl("asl", tmp_path)
