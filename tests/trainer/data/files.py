"""Small files in each official format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CSV_HEAD = "label," + ",".join(f"pixel{n}" for n in range(1, 785))
LETTERS = [n for n in range(25) if n != 9]
EXPRESSIONS = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")


def write_cifar10(folder: Path, records: int = 20, seed: int = 0) -> Path:
    """Six files of `records` each; the labels go round, so that classes are of one size."""
    rng = np.random.default_rng(seed)
    folder = folder / "cifar-10-batches-bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        labels = np.arange(records, dtype=np.uint8)[:, None] % 10
        pixels = rng.integers(0, 256, (records, 3072), dtype=np.uint8)
        np.concatenate([labels, pixels], axis=1).tofile(folder / f"{name}.bin")
    return folder


def photographs(count: int, variants: int, side: int, seed: int = 0) -> np.ndarray:
    """Random photographs, each in variants of little noise: count * variants x side x side."""
    rng = np.random.default_rng(seed)
    originals = np.repeat(rng.integers(40, 216, (count, side, side)), variants, axis=0)
    return np.clip(originals + rng.normal(0, 4, originals.shape), 0, 255).astype(np.uint8)


def write_csv(path: Path, labels: np.ndarray, images: np.ndarray) -> None:
    rows = np.concatenate([labels[:, None], images.reshape(len(images), -1)], axis=1)
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=CSV_HEAD, comments="")


def write_asl(folder: Path, photos: int = 5, variants: int = 3) -> Path:
    """Both CSV files: of every letter `photos` photographs to train on, one to test."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, seed in (("train", photos, 0), ("test", 1, 1)):
        labels = np.repeat(np.repeat(LETTERS, count), variants)
        write_csv(folder / f"sign_mnist_{name}.csv", labels, photographs(24 * count, variants, 28, seed))
    return folder


def write_ckplus(folder: Path, subjects: int = 30, seed: int = 0) -> Path:
    """Three frames of two expressions of every subject; a subject's frames are nearly the same."""
    rng = np.random.default_rng(seed)
    folder = folder / "CK+48"
    for subject in range(subjects):
        face = rng.integers(0, 256, (48, 48))
        for sequence, expression in enumerate(rng.permutation(EXPRESSIONS)[:2]):
            (folder / expression).mkdir(parents=True, exist_ok=True)
            for frame in range(3):
                pixels = np.clip(face + frame, 0, 255).astype(np.uint8)
                name = f"S{subject:03}_{sequence + 1:03}_{frame + 10:08}.png"
                Image.fromarray(pixels).save(folder / expression / name)
    return folder


def write_folder(
    folder: Path, classes: tuple[str, ...] = ("cat", "dog"), images: int = 10, **how: int
) -> Path:
    """PNG files in class folders: `width` x `height`, with `channels`."""
    width, height, channels = how.get("width", 12), how.get("height", 12), how.get("channels", 3)
    rng = np.random.default_rng(how.get("seed", 0))
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for n in range(images):
            pixels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
            image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
            image.save(folder / name / f"{n:03}.png")
    return folder
