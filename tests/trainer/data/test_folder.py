from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from services.common.errors import InvalidDataset, NotFound
from services.common.layers import Shape
from services.trainer.data import Augmentation, dataset
from services.trainer.data.folder import read_folder
from tests.trainer.data.files import photographs, write_folder


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, bits: int = 8, colour: int = 0, data: bytes = b"") -> bytes:
    """A PNG whose header claims a size."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_class_folders_alone_are_split_60_20_20(tmp_path: Path) -> None:
    data = read_folder("pets", write_folder(tmp_path))
    assert (data.info.train_images, data.info.validation_images, data.info.test_images) == (12, 4, 4)
    assert data.class_names == ("cat", "dog")
    assert "20 % put aside as the test part" in data.info.description


def test_train_and_test_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    write_folder(tmp_path / "train")
    write_folder(tmp_path / "test", images=3, seed=1)
    data = read_folder("pets", tmp_path)
    assert (data.info.train_images, data.info.validation_images, data.info.test_images) == (16, 4, 6)
    with Image.open(tmp_path / "test" / "dog" / "002.png") as image:
        assert np.array_equal(data.images[data.test[-1]], np.asarray(image).transpose(2, 0, 1))


def test_images_of_one_small_square_size_are_left_as_they_are(tmp_path: Path) -> None:
    data = read_folder("pets", write_folder(tmp_path, width=20, height=20, channels=1))
    assert data.info.input_shape == Shape(channels=1, height=20, width=20)
    assert "resized" not in data.info.description
    assert data.augmentation == Augmentation(flip=False, shift_px=2)


def test_other_images_are_cropped_and_resized_to_32_and_it_is_said(tmp_path: Path) -> None:
    write_folder(tmp_path, width=40, height=60)
    Image.new("RGB", (90, 50)).save(tmp_path / "cat" / "odd.jpg")
    data = read_folder("pets", tmp_path)
    assert data.info.input_shape == Shape(channels=3, height=32, width=32)
    told = "cropped to the central square and resized to 32x32 (files are 40x60 to 90x50)"
    assert told in data.info.description


def test_the_crop_is_the_central_square(tmp_path: Path) -> None:
    write_folder(tmp_path, width=32, height=32)
    pixels = np.zeros((32, 64, 3), dtype=np.uint8)
    pixels[:, 16:48] = 200
    Image.fromarray(pixels).save(tmp_path / "cat" / "zz.png")
    data = read_folder("pets", tmp_path)
    assert (data.images[10] == 200).all()


def test_grey_images_among_colour_ones_become_colour(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_folder(tmp_path, classes=("cow",), channels=1)
    data = read_folder("pets", tmp_path)
    assert data.images.shape[1] == 3
    cow = data.images[data.labels == 1]
    assert np.array_equal(cow[:, 0], cow[:, 2])


def test_options_of_the_folder_set_side_grey_flip_and_groups(tmp_path: Path) -> None:
    for n, pixels in enumerate(photographs(24, 1, 16)):
        folder = tmp_path / ("cat" if n % 2 else "dog")
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.stack([pixels] * 3, axis=2)).save(folder / f"animal{n // 4}_{n}.png")
    (tmp_path / "dataset.toml").write_text('side = 8\ngrey = true\nflip = true\ngroup = "prefix"\n')
    data = read_folder("pets", tmp_path)
    assert data.info.input_shape == Shape(channels=1, height=8, width=8)
    assert data.augmentation == Augmentation(flip=True, shift_px=1)
    assert data.groups is not None
    parts = [set(data.groups[part]) for part in data.parts.values()]
    assert sum(map(len, parts)) == 6
    assert "split by the 6 prefixes of file names" in data.info.description


def test_near_duplicates_are_kept_together_where_the_folder_says_so(tmp_path: Path) -> None:
    for name, seed in (("cat", 1), ("dog", 2)):
        (tmp_path / name).mkdir()
        for n, pixels in enumerate(photographs(10, 3, 16, seed)):
            Image.fromarray(pixels).save(tmp_path / name / f"{n:03}.png")
    (tmp_path / "dataset.toml").write_text('group = "near-duplicates"\n')
    data = read_folder("pets", tmp_path)
    photograph = np.arange(60) // 3
    assert sum(len(set(photograph[part])) for part in data.parts.values()) == 20


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("side = 3", "side: got 3, wanted 4 to 512"),
        ("side = 'big'", "side"),
        ("sides = 8", "sides: .*side"),
        ("group = 'owner'", "group: got 'owner', wanted one of none, prefix, near-duplicates"),
        ("= 3", "no TOML"),
    ],
)
def test_an_option_that_is_wrong_is_named_with_its_file(tmp_path: Path, text: str, told: str) -> None:
    write_folder(tmp_path)
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(InvalidDataset, match=rf"dataset\.toml: .*{told}"):
        read_folder("pets", tmp_path)


def test_test_without_train_is_no_class_called_test(tmp_path: Path) -> None:
    write_folder(tmp_path / "test")
    with pytest.raises(NotFound, match="train: is missing"):
        read_folder("pets", tmp_path)


def test_a_class_that_only_the_test_part_has_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "train")
    write_folder(tmp_path / "test", classes=("cat", "emu"))
    with pytest.raises(InvalidDataset, match="test: has the class emu, of which there is no training image"):
        read_folder("pets", tmp_path)


def test_an_empty_class_folder_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "cow").mkdir()
    (tmp_path / "cow" / "notes.txt").write_text("none yet")
    with pytest.raises(InvalidDataset, match="cow: has no images"):
        read_folder("pets", tmp_path)


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="pets: has 1 class, wanted at least 2"):
        read_folder("pets", write_folder(tmp_path, classes=("cat",)))


def test_hidden_files_and_other_files_are_passed_over(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    assert read_folder("pets", tmp_path).info.classes == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot be read"),
        (b"GIF89a", "cannot be read"),
        (png(60_000, 60_000), "cannot be read .*decompression bomb"),
        (png(10_000, 9_000), "cannot be read .*decompression bomb"),
        (png(8_300, 8_300), r"has 8300 x 8300 pixels, wanted at most 67,108,864; shrink it"),
        (png(12, 12), "cannot be read"),
        (png(2, 2, bits=16, data=b"\0\0\0\0\0" * 2), "has pixels of the kind I;16, wanted 8 bits a channel"),
    ],
)
def test_an_image_that_cannot_be_taken_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    write_folder(tmp_path)
    (tmp_path / "dog" / "bad.png").write_bytes(content)
    with pytest.raises(InvalidDataset, match=rf"dog/bad\.png: {told}"):
        read_folder("pets", tmp_path)


def test_more_pixels_than_workers_may_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "MAX_BYTES", 20 * 3 * 12 * 12 - 1)
    with pytest.raises(InvalidDataset, match=r"20 images of 3x12x12 take 0\.0 GiB, wanted at most"):
        read_folder("pets", write_folder(tmp_path))


def good_png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


GOOD = good_png()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, len(GOOD)))
def test_no_bytes_break_the_reader(tmp_path: Path, place: int, value: int, length: int) -> None:
    """A byte changed, and the rest cut off: the image is read, or refused by its name."""
    write_folder(tmp_path)
    broken = bytearray(GOOD)
    broken[place] = value
    (tmp_path / "cat" / "000.png").write_bytes(bytes(broken[:length]))
    try:
        read_folder("pets", tmp_path)
        told = "000.png"
    except InvalidDataset as error:
        told = str(error)
    assert "000.png" in told
