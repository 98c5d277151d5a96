"""Arguments that several commands read."""

from __future__ import annotations

import re

from services.common.errors import InvalidRequest, violation
from services.common.layers import Bits, Shape


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


def parse_bits(text: str) -> Bits:
    """Read bit widths such as ``8``, or ``8,4,8`` (inputs, weights, outputs).

    Raises
    ------
    InvalidRequest
        Anything else.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,2})(?:,([1-9][0-9]{0,2}),([1-9][0-9]{0,2}))?", text.strip())
    if match is None:
        wanted = "one bit width, or those of inputs, weights and outputs, such as 8,4,8"
        raise InvalidRequest.of(violation("--bits", text, wanted))
    widths = [int(group or match[1]) for group in match.groups()]
    return Bits(input_bits=widths[0], weight_bits=widths[1], output_bits=widths[2])
