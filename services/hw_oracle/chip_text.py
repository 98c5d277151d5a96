"""Texts that describe a chip, in TOML or as an ini file."""

from __future__ import annotations

from services.common.errors import InvalidChip

MAX_CHARACTERS = 2**16
"""Of a chip's file: twenty times as long as all of its values."""

MAX_LINE = 1000
"""Characters of a line: parsers take the square of its length."""


def limited(text: str) -> str:
    """Give the text back, if it is short enough to be read.

    Raises
    ------
    InvalidChip
        It is too long, or one of its lines is.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidChip(f"this is no chip: got {len(text)} characters, wanted at most {MAX_CHARACTERS}")
    longest = max(map(len, text.split("\n")))
    if longest > MAX_LINE:
        raise InvalidChip(f"this is no chip: got a line of {longest} characters, wanted at most {MAX_LINE}")
    return text
