"""Chips by name: the presets that ship with the project, and files."""

from __future__ import annotations

from importlib import resources
from typing import Any

from services.common.codec import from_jsonable
from services.common.errors import InvalidChip, InvalidInput, NotFound, one_of, violation
from services.common.files import parse_toml, read_file
from services.hw_oracle.simconfig import chip_from_simconfig
from services.hw_oracle.types import ChipConfig

PRESETS = ("mnsim2_default",)
"""Chips that ship with the project, by name: `presets/<name>.toml` holds each with its citation."""

DERIVED = "derived"
"""How a TOML file spells None: TOML has no word for it."""


def load_chip(name: str) -> ChipConfig:
    """Read a chip by its name, or from the path of a .toml file or of an MNSIM 2.0 SimConfig (.ini).

    Raises
    ------
    NotFound
        No preset or file of that name.
    InvalidChip
        The file's content is wrong; the file and the field are named.
    """
    if name in PRESETS:
        folder = resources.files("services.hw_oracle") / "presets"
        return chip_from_toml((folder / f"{name}.toml").read_text("utf-8"))
    if name.endswith(".toml"):
        return read_file(name, chip_from_toml, InvalidChip)
    if name.endswith(".ini"):
        return read_file(name, chip_from_simconfig, InvalidChip)
    wanted = f"{one_of(PRESETS, name)}, or the path of a .toml or .ini file"
    raise NotFound.of(violation("chip", name, wanted))


def chip_from_toml(text: str) -> ChipConfig:
    """Read a chip from TOML: tables as the tree's nodes; what is left out has its default.

    Raises
    ------
    InvalidChip
        Not TOML, an unknown key, a wrong type or value; the path of the field is named.
    """
    table = parse_toml(text, InvalidChip)
    try:
        return from_jsonable(ChipConfig, _none_for_derived(table), "chip")
    except InvalidChip:
        raise
    except InvalidInput as error:
        raise InvalidChip(error.message, error.violations) from None


def _none_for_derived(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _none_for_derived(item) for key, item in value.items()}
    return None if value == DERIVED else value
