"""Whether two configurations are one study."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.common.codec import to_jsonable
from services.common.errors import StudyConflict, Violation
from services.searcher.types import StudyConfig


def check_same(stored: StudyConfig, asked: StudyConfig) -> None:
    """Raise StudyConflict with every setting that differs; what is for people only is none."""
    old, new = (
        _flat(to_jsonable(replace(c, chip_name="", dataset=replace(c.dataset, description=""))))
        for c in (stored, asked)
    )
    wrong = [
        Violation(field, f"stored {old.get(field)!r}, asked {new.get(field)!r}")
        for field in dict.fromkeys((*old, *new))
        if old.get(field) != new.get(field)
    ]
    if wrong:
        text = f"a study named {stored.name!r} exists with other settings: {'; '.join(map(str, wrong))}"
        raise StudyConflict(f"{text}. Give this one another name (--study NAME), or the same settings", wrong)


def _flat(obj: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested objects by dotted path; lists are leaves."""
    if not isinstance(obj, dict):
        return {path: obj}
    return {
        k: v
        for name, value in obj.items()
        for k, v in _flat(value, f"{path}.{name}" if path else name).items()
    }
