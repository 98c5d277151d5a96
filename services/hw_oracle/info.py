"""What an oracle is: versions, limits, and the chips that it knows by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleInfo:
    """What an oracle is.

    Parameters
    ----------
    version : str
        Of imcnas.
    model_version : str
        Of the equations.
    presets : tuple of str
        Names of the chips that come with it.
    """

    version: str
    model_version: str
    presets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipInfo:
    """A chip that comes with an oracle.

    Parameters
    ----------
    name, title : str
        Its name, and what it is in a line.
    chip_hash : str
        Of its configuration, as in reports.
    """

    name: str
    title: str
    chip_hash: str
