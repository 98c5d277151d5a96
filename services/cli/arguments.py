"""Arguments that several commands read."""

from __future__ import annotations

import re

from services.common.errors import InvalidRequest, violation
from services.common.layers import Shape


def parse_image(text: str) -> Shape:
    """Read an image shape such as ``3x32x32`` (channels, height, width).

    Raises
    ------
    InvalidRequest
        Anything else.
    """
    match = re.fullmatch(r"([0-9]{1,7})x([0-9]{1,7})x([0-9]{1,7})", text.strip().lower())
    if match is None:
        wanted = "channels x height x width, such as 3x32x32"
        raise InvalidRequest.of(violation("--image", text, wanted))
    channels, height, width = map(int, match.groups())
    return Shape(channels=channels, height=height, width=width)
