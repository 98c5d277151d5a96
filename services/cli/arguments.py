"""Arguments that several commands read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from services.common.errors import InvalidRequest, violation
from services.common.layers import Bits, Shape

if TYPE_CHECKING:
    from services.hw_oracle.client import HwOracle
    from services.trainer.data import Registry

STORE = "studies.sqlite"
"""File of the studies, in their folder."""

AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
"""Argument of every command whose answer programs can read."""

OracleAt = Annotated[str, typer.Option(help="Ask a running oracle, host:port, instead.")]
"""Argument of every command that asks an oracle; `open_oracle` opens it."""


@contextmanager
def open_oracle(address: str) -> Iterator[HwOracle]:
    """Give the oracle at an address, which answers, or without one that in this process."""
    from services.hw_oracle.client import HwOracle

    with HwOracle(address or None) as oracle:
        if address:
            oracle.info()
        yield oracle


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


def find_dataset(text: str) -> tuple[str, Registry]:
    """Read the name of a data set, or KIND:PATH: its name, and the registry of this machine that has it.

    Raises
    ------
    InvalidRequest
        A path without its kind, an unknown kind, or a setting in the environment that is wrong.
    NotFound
        Nothing is at the path.
    """
    from services.trainer.data import Registry, locate

    registry = datasets_here()
    if ":" not in text:
        if "/" in text or text.endswith(".npz"):
            kind = "npz" if text.endswith(".npz") else "folder"
            wanted = "a name (imcnas data list), or KIND:PATH"
            raise InvalidRequest.of(violation("dataset", text, wanted, f"perhaps {kind}:{text}"))
        return text, registry
    located = locate(text)
    return located.name, Registry(registry.folder, [located])


def datasets_here() -> Registry:
    """Give the registry of this machine's data folder."""
    from services.common.settings import TrainerSettings, read_settings
    from services.trainer.data import Registry

    return Registry(read_settings(TrainerSettings).data)
