from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.errors import InvalidDataset, NotFound
from services.common.layers import Shape
from services.trainer.data import Augmentation
from services.trainer.data.npz import read_npz

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 4
GOOD = {"x_train": X, "y_train": Y, "x_test": X[:8], "y_test": Y[:8]}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(**arrays: Any) -> Path:
        path = tmp_path / "mine.npz"
        np.savez_compressed(path, **arrays)
        return path

    return write


def test_train_and_test_are_taken_as_they_are_and_validation_comes_out_of_training(write: Write) -> None:
    data = read_npz("mine", write(**GOOD))
    assert (data.info.train_images, data.info.validation_images, data.info.test_images) == (32, 8, 8)
    assert data.info.input_shape == Shape(channels=1, height=8, width=8)
    assert np.array_equal(data.images[data.test, 0], X[:8])
    assert np.array_equal(data.labels[:40], Y)
    assert data.augmentation == Augmentation(flip=False, shift_px=1)


def test_one_part_is_split_60_20_20(write: Write) -> None:
    data = read_npz("mine", write(x=X, y=Y))
    assert (data.info.train_images, data.info.validation_images, data.info.test_images) == (24, 8, 8)


def test_channels_come_last(write: Write) -> None:
    x = RNG.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    data = read_npz("mine", write(x=x, y=Y))
    assert np.array_equal(data.images, x.transpose(0, 3, 1, 2))


def test_images_that_are_not_square_are_cropped_and_it_is_said(write: Write) -> None:
    x = RNG.integers(0, 256, (40, 8, 12), dtype=np.uint8)
    data = read_npz("mine", write(x=x, y=Y))
    assert np.array_equal(data.images[:, 0], x[:, :, 2:10])
    assert "cropped from 12x8 to the central 8x8" in data.info.description


def test_groups_stay_together(write: Write) -> None:
    group = np.arange(40) // 4
    data = read_npz("mine", write(x=X, y=Y, group=group))
    assert sum(len(set(group[part])) for part in data.parts.values()) == 10
    assert "split by 10 groups" in data.info.description


def test_groups_of_training_alone_are_enough(write: Write) -> None:
    group = np.arange(40) // 4
    data = read_npz("mine", write(**GOOD, group_train=group))
    assert not set(group[data.train]) & set(group[data.validation])


def test_labels_with_gaps_are_numbered_anew_and_keep_their_names(write: Write) -> None:
    names = np.array(["a", "b", "c", "d", "e", "f", "g"])
    data = read_npz("mine", write(x=X, y=Y * 2, class_names=names))
    assert data.class_names == ("a", "c", "e", "g")
    assert np.array_equal(data.labels, Y)
    assert read_npz("mine", write(x=X, y=Y * 2)).class_names == ("0", "2", "4", "6")


def test_a_class_name_moves_no_cursor(write: Write) -> None:
    data = read_npz("mine", write(x=X, y=Y, class_names=np.array(["\x1b[2J", "b", "c", "d"])))
    assert data.class_names[0] == "?[2J"


def test_flip_is_the_files_to_allow(write: Write) -> None:
    assert read_npz("mine", write(x=X, y=Y, flip=np.array(True))).augmentation.flip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"y_train": None}, "y_train: is missing, wanted x_train, y_train, x_test and y_test, or x and y"),
        ({"x_test": None}, "x_test: is missing"),
        ({"x_train": X / 255}, "x_train: is float64 of (40, 8, 8), wanted uint8 images"),
        ({"x_train": X[:, None]}, "x_train: is uint8 of (40, 1, 8, 8), wanted uint8 images"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "x_train: is uint8 of (0, 8, 8), wanted uint8 images"),
        ({"x_train": X[:, :3]}, "x_train: is uint8 of (40, 3, 8)"),
        ({"y_train": Y[:-1]}, "y_train: is int64 of (39,), wanted 40 integers"),
        ({"y_train": Y * 1.0}, "y_train: is float64 of (40,), wanted 40 integers"),
        ({"y_test": Y[:8] + 9}, "y_test: has the label 9, of which there is no training image"),
        ({"x_test": X[:8, :6, :6]}, "x_test: has images of another shape than x_train"),
        ({"y_train": Y * 0, "y_test": Y[:8] * 0}, "has 1 class, wanted at least 2"),
        ({"group_train": Y * 1.0}, "group_train: is float64 of (40,)"),
        ({"group_test": Y[:8]}, "group_train: is missing, wanted it beside group_test"),
        ({"class_names": np.array(["a"])}, "class_names: is <U1 of (1,), wanted 4 texts"),
        ({"class_names": np.arange(4)}, "class_names: is int64 of (4,), wanted 4 texts"),
        ({"flip": np.array([1])}, "flip: is int64 of (1,), wanted one bool"),
    ],
)
def test_an_array_that_is_wrong_is_named(write: Write, changes: dict[str, Any], told: str) -> None:
    arrays = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    with pytest.raises(InvalidDataset) as error:
        read_npz("mine", write(**arrays))
    assert told in str(error.value)


def test_pickles_are_never_opened(write: Write, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path / "trap").touch, ()

    trap = np.array([Trap()], dtype=object)
    with pytest.raises(
        InvalidDataset, match=r"y_train: holds object, wanted plain .*pickles are never opened"
    ):
        read_npz("mine", write(**{**GOOD, "y_train": trap}))
    assert not (tmp_path / "trap").exists()


def npy(shape: tuple[int, ...], descr: str = "|u1", data: bytes = b"", version: int = 1) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + data


@pytest.mark.parametrize(
    ("member", "told"),
    [
        (
            npy((2**40, 8, 8)),
            "x_train: is uint8 of (1099511627776, 8, 8), wanted at most 1,073,741,824 bytes",
        ),
        (npy((2**62, 2**62)), "wanted at most"),
        (npy((-4, 8, 8)), "x_train: is uint8 of (-4, 8, 8)"),
        (npy((40, 8, 8), data=b"\0" * 99), "cannot be read"),
        (npy((40, 8, 8), version=2), "x_train: is not of version 1.0 of the NPY format"),
        (npy((40, 8, 8), "|O"), "pickles are never opened"),
        (npy((40,), "not a type"), "cannot be read"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"\0" * 99, "not of version 1.0"),
        (b"", "cannot be read"),
    ],
)
def test_a_header_that_lies_is_refused_before_memory_is_taken(
    tmp_path: Path, member: bytes, told: str
) -> None:
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", member)
        for key in ("y_train", "x_test", "y_test"):
            out = io.BytesIO()
            np.save(out, GOOD[key])
            archive.writestr(f"{key}.npy", out.getvalue())
    with pytest.raises(InvalidDataset) as error:
        read_npz("mine", path)
    assert told in str(error.value)


def test_labels_may_not_swell_beyond_their_limit(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy((4, 8, 8), data=b"\0" * 256))
        archive.writestr("y.npy", npy((2**26 + 1,), data=b""))
    with pytest.raises(
        InvalidDataset, match=r"y: is uint8 of \(67108865,\), wanted at most 67,108,864 bytes"
    ):
        read_npz("mine", path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00v\x00", b"not a zip" * 9])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(
        InvalidDataset, match=r"mine\.npz: cannot be read .*; wanted an \.npz file with x_train"
    ):
        read_npz("mine", tmp_path / "mine.npz")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"mine\.npz: is missing"):
        read_npz("mine", tmp_path / "mine.npz")


def archive_bytes() -> bytes:
    out = io.BytesIO()
    np.savez(out, x=X[:12], y=Y[:12])
    return out.getvalue()


ARCHIVE = archive_bytes()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(ARCHIVE) - 1), st.integers(0, 255)), max_size=4), st.booleans())
def test_no_bytes_break_the_reader(tmp_path: Path, changes: list[tuple[int, int]], cut: bool) -> None:
    broken = bytearray(ARCHIVE)
    for place, value in changes:
        broken[place] = value
    path = tmp_path / "mine.npz"
    path.write_bytes(bytes(broken[: changes[0][0]] if cut and changes else broken))
    try:
        read_npz("mine", path)
        told = "mine"
    except InvalidDataset as error:
        told = str(error)
    assert "mine" in told
