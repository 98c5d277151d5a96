"""Networks named on a command line: files in two JSON forms, or a candidate's compact form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.common.candidate import candidate_layers, parse_candidate
from services.common.errors import ImcnasError, InvalidNetwork, NotFound, Violation, violation
from services.common.layers import LayerList, Shape
from services.common.network_json import network_from_json


class Format(StrEnum):
    """How a file describes its networks."""

    AUTO = "auto"
    IMCNAS = "imcnas"
    MNSIM = "mnsim"


@dataclass(frozen=True, slots=True)
class Named:
    """A network and its name, or why it could not be read."""

    name: str
    network: LayerList | ImcnasError


def read_networks(text: str, form: Format, image: Shape, classes: int) -> Iterator[Named]:
    """Yield each network that `text` names; a network that cannot be read yields its error.

    `text` is a file with one network, a list of networks, or a list of ``{"name", "layers"}``;
    otherwise a candidate such as ``VGG16-RES32`` for images of shape `image` and `classes` classes.
    """
    path = Path(text)
    if not path.is_file():
        yield _named(text, lambda: _candidate(text, image, classes))
        return
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        yield Named(path.stem, InvalidNetwork.of(Violation(text, f"cannot be read as JSON: {error}")))
        return
    many = (
        isinstance(content, list) and content and all(isinstance(x, dict) and "layers" in x for x in content)
    )
    for number, item in enumerate(content if many else [content]):
        name = item.get("name", path.stem) if isinstance(item, dict) else path.stem
        yield _named(
            str(name) if not many or "name" in item else f"{name}[{number}]",
            lambda item=item: _network(item, form),
        )


def _named(name: str, make: object) -> Named:
    try:
        return Named(name, make())  # type: ignore[operator]  # a closure over the item
    except ImcnasError as error:
        return Named(name, error)


def _candidate(text: str, image: Shape, classes: int) -> LayerList:
    if "/" in text or "." in text:
        fix = "give a JSON file that exists, or blocks such as VGG16-RES32"
        raise NotFound(str(v := violation("FILE", text, "a readable file", fix)), [v])
    return candidate_layers(parse_candidate(text), image, classes)


def _network(item: object, form: Format) -> LayerList:
    layers = item.get("layers") if isinstance(item, dict) else item
    if form is Format.AUTO:
        ours = isinstance(item, dict) and ("input_shape" in item or "version" in item)
        form = Format.IMCNAS if ours or not isinstance(layers, list) else Format.MNSIM
    if form is Format.MNSIM:
        from services.hw_oracle.importers import from_mnsim

        return from_mnsim(layers)  # type: ignore[arg-type]  # it checks what it is given
    return network_from_json(
        {k: v for k, v in item.items() if k != "name"} if isinstance(item, dict) else item
    )
