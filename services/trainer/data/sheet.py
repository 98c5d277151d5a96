"""A contact sheet: a few images of each class and part, to be looked at."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from services.trainer.data.dataset import Dataset, Indices

COLUMNS = {"train": 8, "validation": 4, "test": 4}
"""Images of each part in a row."""

TILE_PX, GAP_PX, PART_GAP_PX, MARGIN_PX, NAME_PX = 64, 4, 20, 16, 120
MAX_ROWS = 50
INK, PAPER = "#222222", "#ffffff"


def contact_sheet(dataset: Dataset) -> bytes:
    """Draw a PNG with a row for each class, the first 50 of them: images of train, validation and test.

    Small images are enlarged pixel by pixel, so that what is seen is what a network gets.
    """
    classes = dataset.class_names[:MAX_ROWS]
    font = ImageFont.load_default(14)
    lefts, left = {}, MARGIN_PX + NAME_PX
    for part, count in COLUMNS.items():
        lefts[part] = left
        left += count * (TILE_PX + GAP_PX) + PART_GAP_PX
    top = MARGIN_PX + 48
    sheet = Image.new(
        "RGB", (left - PART_GAP_PX + MARGIN_PX, top + len(classes) * (TILE_PX + GAP_PX) + MARGIN_PX), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    shape, more = dataset.info.input_shape, len(dataset.class_names) - len(classes)
    title = f"{dataset.info.name}: images of {shape}" + (f"; {more} more classes" if more else "")
    draw.text((MARGIN_PX, MARGIN_PX), title, INK, ImageFont.load_default(16))
    for part, members in dataset.parts.items():
        draw.text((lefts[part], top - 22), f"{part}: {len(members):,}", INK, font)
    for row, name in enumerate(classes):
        y = top + row * (TILE_PX + GAP_PX)
        text = name if draw.textlength(name, font) <= NAME_PX - GAP_PX else f"{name[:12]}..."
        draw.text((MARGIN_PX, y + TILE_PX // 2), text, INK, font, anchor="lm")
        for part, members in dataset.parts.items():
            of_class = members[dataset.labels[members] == row]
            for column, index in enumerate(_spread(of_class, COLUMNS[part])):
                sheet.paste(_tile(dataset, index), (lefts[part] + column * (TILE_PX + GAP_PX), y))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def _spread(members: Indices, count: int) -> list[int]:
    """Choose evenly: neighbours in a file are often of one photograph."""
    if not len(members):
        return []
    return [
        int(i) for i in members[np.linspace(0, len(members) - 1, min(count, len(members))).astype(np.int64)]
    ]


def _tile(dataset: Dataset, index: int) -> Image.Image:
    pixels = dataset.images[index].transpose(1, 2, 0)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if image.width > TILE_PX:
        return image.resize((TILE_PX, TILE_PX), Image.Resampling.BOX)
    side = image.width * (TILE_PX // image.width)
    return image.resize((side, side), Image.Resampling.NEAREST)
