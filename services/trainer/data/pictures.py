"""Image files -> square arrays of one size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from services.common.errors import InvalidDataset, Violation
from services.trainer.data.dataset import Images, check_bytes, reading

FORMATS = ("PNG", "JPEG", "BMP", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm"})

MAX_PIXELS = 2**26
"""Of one file before it is shrunk (67 megapixels): a small file can claim to be enormous."""

DEFAULT_SIDE = 32
"""Side of images that are not all squares of one size up to `LARGEST_KEPT`."""

LARGEST_KEPT = 64

_GREY_MODES = frozenset({"1", "L", "LA"})
_COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Decoded images, and what was done to them.

    Parameters
    ----------
    images : ndarray of uint8, N x channels x side x side
    note : str
        How they were brought to one size; empty if they were left as they are.
    """

    images: Images
    note: str


def read_pictures(where: Path, files: list[Path], side: int | None, grey: bool | None) -> Pictures:
    """Decode image files, each cropped to its central square and resized where it is not `side` x `side`.

    Parameters
    ----------
    where : Path
        Folder of all, for the error.
    files : list of Path
    side : int or None
        None keeps squares of one size up to `LARGEST_KEPT`, and makes others `DEFAULT_SIDE`.
    grey : bool or None
        One channel or three; None: one if every file is grey.

    Raises
    ------
    InvalidDataset
        A file that is no image, or too large; too many pixels in all.
    """
    headers = [_header(file) for file in files]
    sizes = {size for size, _ in headers}
    if side is None:
        width, height = min(sizes)
        kept = len(sizes) == 1 and width == height <= LARGEST_KEPT
        side = width if kept else DEFAULT_SIDE
    if grey is None:
        grey = all(mode in _GREY_MODES for _, mode in headers)
    shape = (1 if grey else 3, side, side)
    check_bytes(where, len(files), shape)
    images = np.empty((len(files), *shape), dtype=np.uint8)
    for image, file in zip(images, files, strict=True):
        image[:] = _decode(file, side, grey)
    if sizes == {(side, side)}:
        return Pictures(images=images, note="")
    smallest, largest = min(sizes), max(sizes)
    span = f"{smallest[0]}x{smallest[1]}"
    if smallest != largest:
        span += f" to {largest[0]}x{largest[1]}"
    crop = "cropped to the central square and " if any(w != h for w, h in sizes) else ""
    return Pictures(images=images, note=f"{crop}resized to {side}x{side} (files are {span})")


def _header(path: Path) -> tuple[tuple[int, int], str]:
    with _opened(path) as image:
        return image.size, image.mode


def _decode(path: Path, side: int, grey: bool) -> Images:
    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("P", "PA"):  # a palette with transparency
            upright = upright.convert("RGBA")
        plain = upright.convert("L" if grey else "RGB")
        if plain.size != (side, side):
            plain = ImageOps.fit(plain, (side, side), method=Image.Resampling.LANCZOS)
        pixels = np.asarray(plain)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image of bounded size and 8 bits a channel."""
    with reading(path, "a PNG, JPEG, BMP, PGM or PPM image; replace or remove it"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what can be decoded is decoded
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                text = f"has {width} x {height} pixels, wanted at most {MAX_PIXELS:,}; shrink it"
                raise InvalidDataset.of(Violation(str(path), text))
            if image.mode not in _GREY_MODES | _COLOUR_MODES:
                text = f"has pixels of the kind {image.mode}, wanted 8 bits a channel; convert it"
                raise InvalidDataset.of(Violation(str(path), text))
            yield image
