"""Networks named on a command line: JSON files in two forms, ONNX files, or a candidate's compact form."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from services.cli.arguments import parse_bits, parse_image
from services.common.candidate import candidate_layers, parse_candidate
from services.common.errors import (
    ImcnasError,
    InvalidNetwork,
    NotFound,
    NotPossible,
    Violation,
    missing,
    violation,
)
from services.common.layers import Bits, LayerList, Shape
from services.common.network_json import network_from_json

STDIN = "-"
"""Stands for JSON on the standard input."""

MAX_CHARACTERS = 16 * 2**20
"""Of JSON, from a file or the standard input."""

_CHIP = "this is a chip: give it as --chip"
_TORCH = "a torch file holds no graph: export the module to ONNX, or use from_torch in Python"
_INSTEAD = {".toml": _CHIP, ".ini": _CHIP, ".pt": _TORCH, ".pth": _TORCH}

CANDIDATE_IMAGE = Shape(channels=3, height=32, width=32)
"""What a candidate reads unless told otherwise."""


class Format(StrEnum):
    """How a file describes its networks."""

    AUTO = "auto"
    IMCNAS = "imcnas"
    MNSIM = "mnsim"
    ONNX = "onnx"


Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...", help="JSON or ONNX files, candidates (VGG16-RES32), - for JSON from stdin."
    ),
]
Form = Annotated[Format, typer.Option("--format", help="What the files hold.")]
Image = Annotated[
    str, typer.Option(help="Image shape for candidates (3x32x32), and ONNX files that leave it open.")
]
Classes = Annotated[int, typer.Option(help="Classes for candidates.")]
Widths = Annotated[
    str,
    typer.Option("--bits", help="Bit widths for candidates and ONNX files: one, or inputs,weights,outputs."),
]
"""Arguments of every command that takes networks; `read_files` reads them."""


@dataclass(frozen=True, slots=True)
class Named:
    """A network and its name, or why it could not be read; `own_sizes` if the file says image and bits."""

    name: str
    network: LayerList | ImcnasError
    own_sizes: bool = False


def read_files(files: Sequence[str], form: Format, image: str, classes: int, bits: str) -> list[Named]:
    """Read every network that the arguments of a command name.

    Raises
    ------
    InvalidRequest, InvalidCandidate
        An image shape or bit widths that are none, or images that fit no candidate.
    """
    shape, widths = parse_image(image) if image else None, parse_bits(bits)
    if any(map(_is_candidate, files)):  # images that fit no candidate are one mistake
        candidate_layers(parse_candidate("VGG1"), shape or CANDIDATE_IMAGE, classes)
    named = [item for file in files for item in read_networks(file, form, shape, classes, widths)]
    own = all(item.own_sizes for item in named)
    for option, given in (("--image", bool(image)), ("--bits", widths != Bits())):
        if given and own:
            print(f"imcnas: {option} has no effect: these networks have their own", file=sys.stderr)
    return named


def read_networks(
    text: str, form: Format, image: Shape | None = None, classes: int = 10, bits: Bits = Bits()
) -> Iterator[Named]:
    """Yield each network that `text` names; a network that cannot be read yields its error.

    `text` is an ONNX file, which takes `image` where it leaves its own open; a JSON file with one network, a
    search's best.json, or a list of networks, named or not, with bits of their own; otherwise a candidate
    such as ``VGG16-RES32`` for images of shape `image` and `classes` classes.
    """
    path = Path("stdin" if text == STDIN else text)
    if not _is_file(text):
        yield _named(text, lambda: _candidate(text, image or CANDIDATE_IMAGE, classes, bits))
        return
    try:
        if text != STDIN and (form is Format.ONNX or (form is Format.AUTO and _is_onnx(path))):
            yield _named(path.stem, lambda: _onnx(path, image, bits))
            return
        content = json.loads(_read(text))
    except (OSError, ValueError, RecursionError) as error:
        fix = _INSTEAD.get(path.suffix.lower(), "")
        found = f"cannot be read as JSON: {error}{fix and '; '}{fix}"
        yield Named(path.stem, InvalidNetwork.of(Violation(text, found)))
        return
    many = isinstance(content, list) and any(isinstance(x, dict) and "layers" in x for x in content)
    for number, item in enumerate(content if many else [content]):
        default = f"{path.stem}[{number}]" if many else path.stem
        name = item.get("name", default) if isinstance(item, dict) else default
        yield _named(str(name), partial(_network, item, form), own_sizes=True)


def _is_file(text: str) -> bool:
    return text == STDIN or os.path.isfile(text)  # Path's raises on a name that is too long


def _is_candidate(text: str) -> bool:
    try:
        return not _is_file(text) and bool(parse_candidate(text))
    except ImcnasError:
        return False


def _read(text: str) -> str:
    if text == STDIN and sys.stdin is None:  # as Python leaves it where a caller closed it
        raise ValueError("the standard input is closed")
    with nullcontext(sys.stdin) if text == STDIN else open(text, encoding="utf-8") as file:
        content = file.read(MAX_CHARACTERS + 1)
    if len(content) > MAX_CHARACTERS:
        raise ValueError(f"it is too long: wanted at most {MAX_CHARACTERS:,} characters; split it in several")
    return content


def _named(name: str, make: Callable[[], LayerList], own_sizes: bool = False) -> Named:
    try:
        return Named(name, make(), own_sizes)
    except ImcnasError as error:
        return Named(name, error, own_sizes)


def _candidate(text: str, image: Shape, classes: int, bits: Bits) -> LayerList:
    if "/" in text or "." in text:
        fix = "give a JSON or ONNX file that exists, or blocks such as VGG16-RES32"
        raise NotFound(str(v := violation("FILE", text, "a readable file", fix)), [v])
    return candidate_layers(parse_candidate(text), image, classes, bits)


def _is_onnx(path: Path) -> bool:
    """Tell by a file's name, or else by its first byte: the tag of a model's first field, and no text's."""
    if path.suffix.lower() == ".onnx":
        return True
    with path.open("rb") as file:
        return file.read(1) == b"\x08"


def _onnx(path: Path, image: Shape | None, bits: Bits) -> LayerList:
    from services.hw_oracle.importers import from_onnx

    try:
        return from_onnx(path, input_shape=image, bits=bits)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "onnx":
            raise
        fix = "ONNX files need onnx; run: pip install 'imcnas[onnx]'"
        raise NotPossible.of(Violation(str(path), fix)) from None


def _is_ours(item: object) -> bool:
    """Tell by a field that MNSIM's form does not have; a layer's `kind` there is its `type`."""
    layers = item.get("layers") if isinstance(item, dict) else item
    kinds = isinstance(layers, list) and any(isinstance(layer, dict) and "kind" in layer for layer in layers)
    return kinds or (isinstance(item, dict) and ("input_shape" in item or "version" in item))


def _network(item: object, form: Format) -> LayerList:
    if isinstance(item, dict):
        item = item.get("network", item)  # what a search writes as best.json
    if isinstance(item, dict) and isinstance(item.get("layers"), dict):
        item = item["layers"]  # {"name", "layers": a whole network}
    if form is Format.MNSIM or (form is Format.AUTO and not _is_ours(item)):
        if isinstance(item, dict) and "layers" not in item:
            raise InvalidNetwork.of(missing("layers", "a list of layers: docs/evaluate.md shows the forms"))
        from services.hw_oracle.importers import from_mnsim

        # It checks what it is given.
        return from_mnsim(item.get("layers") if isinstance(item, dict) else item)  # type: ignore[arg-type]
    return network_from_json(
        {k: v for k, v in item.items() if k != "name"} if isinstance(item, dict) else item
    )
