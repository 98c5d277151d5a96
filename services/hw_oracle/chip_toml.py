"""ChipConfig <-> TOML: tables as the tree's nodes, "derived" for None."""

from __future__ import annotations

from typing import Any, TypeVar

from services.common.codec import to_jsonable
from services.common.errors import InvalidChip, Violation, one_of, violation
from services.common.files import parse_toml
from services.hw_oracle.checked import Checked, field_types
from services.hw_oracle.chip_text import limited
from services.hw_oracle.types import ChipConfig

DERIVED = "derived"
"""How a TOML file spells None: TOML has no word for it."""

Node = TypeVar("Node", bound=Checked)


def chip_from_toml(text: str) -> ChipConfig:
    """Read a chip; what is left out has its default.

    Raises
    ------
    InvalidChip
        Not TOML; or every unknown key, wrong type and wrong value, each with the path of its field.
    """
    wrong: list[Violation] = []
    chip = _read(ChipConfig, parse_toml(limited(text), InvalidChip), wrong)
    if wrong:
        raise InvalidChip.of(*wrong)
    return chip


def chip_to_toml(chip: ChipConfig) -> str:
    """Write every field of a chip; `chip_from_toml` reads the very same chip."""
    import tomli_w  # reading needs nothing but the standard library

    return tomli_w.dumps(_spelled(to_jsonable(chip)))


def _read(cls: type[Node], table: object, wrong: list[Violation]) -> Node:
    """Make a node and those below it; a default stands in for one that is wrong."""
    if not isinstance(table, dict):
        wrong.append(violation(cls.path, table, "a table"))
        return cls()
    kinds = field_types(cls)
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in kinds:
            wrong.append(Violation(f"{cls.path}.{name}", f"unknown field, wanted {one_of(kinds, name)}"))
        elif issubclass(kinds[name][0], Checked):
            values[name] = _read(kinds[name][0], value, wrong)
        else:
            values[name] = None if value == DERIVED else value
    try:
        return cls(**values)
    except InvalidChip as error:
        wrong += error.violations
        return cls()


def _spelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _spelled(item) for name, item in value.items()}
    return DERIVED if value is None else value
