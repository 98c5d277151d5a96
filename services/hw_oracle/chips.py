"""Chips by name: the presets that ship with the project, and files."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from services.common.errors import InvalidChip, NotFound, one_of, violation
from services.common.files import notes, read_file, title
from services.hw_oracle.chip_toml import chip_from_toml
from services.hw_oracle.simconfig import read_simconfig
from services.hw_oracle.simconfig_values import Ignored
from services.hw_oracle.types import ChipConfig

DEFAULT = "mnsim2_default"
"""Preset that equals `ChipConfig()`."""

_FOLDER = resources.files("services.hw_oracle") / "presets"

PRESETS = tuple(sorted(f.name.removesuffix(".toml") for f in _FOLDER.iterdir() if f.name.endswith(".toml")))
"""Chips that ship with the project, by name: `presets/<name>.toml` holds each with its citation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedChip:
    """A chip as it was asked for.

    Parameters
    ----------
    name : str
        Of the preset, or the path of the file.
    title, notes : str
        First line of the file, where that is a comment, and the comment lines behind it.
    chip : ChipConfig
    ignored : tuple of Ignored
        Keys of a SimConfig.ini that have no effect.
    """

    name: str
    title: str
    notes: str
    chip: ChipConfig
    ignored: tuple[Ignored, ...] = ()


def load_chip(name: str) -> ChipConfig:
    """Read a chip by its name or from its file; raises as `read_chip`."""
    return read_chip(name).chip


def read_chip(name: str) -> NamedChip:
    """Read a chip by its name, or from the path of a .toml file or of an MNSIM 2.0 SimConfig (.ini).

    Raises
    ------
    NotFound
        No preset or file of that name.
    InvalidChip
        The file's content is wrong; the file and the field are named.
    """
    if name in PRESETS:
        return _from_toml(name, (_FOLDER / f"{name}.toml").read_text("utf-8"))
    if name.endswith(".toml"):
        return read_file(name, lambda text: _from_toml(name, text), InvalidChip)
    if name.endswith(".ini"):
        return read_file(name, lambda text: _from_simconfig(name, text), InvalidChip)
    wanted = f"{one_of(PRESETS, name)}, or the path of a .toml or .ini file"
    raise NotFound.of(violation("chip", name, wanted))


def _from_toml(name: str, text: str) -> NamedChip:
    return NamedChip(name=name, title=title(text), notes=notes(text), chip=chip_from_toml(text))


def _from_simconfig(name: str, text: str) -> NamedChip:
    chip, ignored = read_simconfig(text)
    return NamedChip(name=name, title=title(text), notes=notes(text), chip=chip, ignored=ignored)
