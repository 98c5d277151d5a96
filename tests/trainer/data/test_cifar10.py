from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.errors import InvalidDataset, NotFound
from services.common.layers import Shape
from services.trainer.data import Augmentation
from services.trainer.data.cifar10 import CLASSES, read_cifar10
from tests.trainer.data.files import write_cifar10


def test_records_are_read_as_label_then_red_green_and_blue_planes(tmp_path: Path) -> None:
    folder = write_cifar10(tmp_path)
    data = read_cifar10("cifar10", folder)
    raw = np.fromfile(folder / "data_batch_2.bin", dtype=np.uint8).reshape(20, 3073)
    assert np.array_equal(data.images[20:40], raw[:, 1:].reshape(20, 3, 32, 32))
    assert np.array_equal(data.labels[20:40], raw[:, 0])
    assert data.info.input_shape == Shape(channels=3, height=32, width=32)
    assert data.class_names == CLASSES
    assert data.augmentation == Augmentation(flip=True, shift_px=4)


def test_the_test_batch_is_the_test_part_and_validation_is_a_stratified_tenth_of_training(
    tmp_path: Path,
) -> None:
    data = read_cifar10("cifar10", write_cifar10(tmp_path))
    assert data.test.tolist() == list(range(100, 120))
    assert np.bincount(data.labels[data.validation]).tolist() == [1] * 10
    assert sorted([*data.train, *data.validation]) == list(range(100))


def test_a_subset_says_so(tmp_path: Path) -> None:
    assert "a subset: 120 of 60,000 images" in read_cifar10("x", write_cifar10(tmp_path)).info.description


def test_the_folder_that_holds_the_official_one_will_do(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    assert read_cifar10("cifar10", tmp_path).info.train_images == 90


def test_normalisation_comes_from_the_training_part_alone(tmp_path: Path) -> None:
    folder = write_cifar10(tmp_path)
    before = read_cifar10("cifar10", folder)
    records = np.fromfile(folder / "test_batch.bin", dtype=np.uint8).reshape(-1, 3073)
    records[:, 1:] = 255
    records.tofile(folder / "test_batch.bin")
    after = read_cifar10("cifar10", folder)
    assert (after.mean, after.deviation) == (before.mean, before.deviation)
    train = before.images[before.train].astype(np.float64)
    np.testing.assert_allclose(before.mean, train.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(before.deviation, train.std(axis=(0, 2, 3), ddof=1), rtol=1e-12)


def test_a_missing_file_is_named_with_what_gets_it(tmp_path: Path) -> None:
    folder = write_cifar10(tmp_path)
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(NotFound, match=r"data_batch_4\.bin: is missing, .*: imcnas data fetch cifar10"):
        read_cifar10("cifar10", folder)


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 3073 * 10_001])
def test_a_file_of_another_size_is_damaged(tmp_path: Path, size: int) -> None:
    folder = write_cifar10(tmp_path)
    with (folder / "test_batch.bin").open("r+b") as file:
        file.truncate(size)  # sparse: the largest takes no room
    with pytest.raises(InvalidDataset, match=rf"test_batch\.bin: has {size:,} bytes, wanted 30,730,000"):
        read_cifar10("cifar10", folder)


def test_a_label_beyond_9_is_damage_and_its_record_is_named(tmp_path: Path) -> None:
    folder = write_cifar10(tmp_path)
    with (folder / "data_batch_1.bin").open("r+b") as file:
        file.seek(7 * 3073)
        file.write(b"\x0a")
    with pytest.raises(InvalidDataset, match="record 7 has the label 10, wanted 0 to 9"):
        read_cifar10("cifar10", folder)


def test_the_python_version_is_refused_unopened(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(InvalidDataset, match="Python version, whose pickles are never opened"):
        read_cifar10("cifar10", tmp_path)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=3073 * 3))
def test_no_bytes_break_the_reader(tmp_path: Path, content: bytes) -> None:
    folder = write_cifar10(tmp_path)
    (folder / "data_batch_3.bin").write_bytes(content)
    try:
        assert read_cifar10("cifar10", folder).info.classes == 10
    except InvalidDataset as error:
        told = str(error)
    else:
        told = "data_batch_3.bin"
    assert "data_batch_3.bin" in told
