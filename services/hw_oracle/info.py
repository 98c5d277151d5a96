"""What an oracle is: versions and presets."""

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
