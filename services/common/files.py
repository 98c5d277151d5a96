"""Files that people write: whatever is wrong with one, the error names it."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from services.common.errors import InvalidInput, NotFound, Violation

T = TypeVar("T")


def read_file(path: str, parse: Callable[[str], T], invalid: type[InvalidInput]) -> T:
    """Read a text file with `parse`.

    Raises
    ------
    NotFound
        No such file.
    InvalidInput
        Of the class `invalid`: the file cannot be read, sets nothing, or `parse` refuses it.
    """
    try:
        text = Path(path).read_text("utf-8")
        if not any(line.strip() and line.strip()[0] not in "#;[" for line in text.splitlines()):
            raise invalid("this sets nothing: name at least one value")
        return parse(text)
    except FileNotFoundError:
        raise NotFound.of(Violation(path, "no such file")) from None
    except InvalidInput as error:
        raise invalid(f"{path}: {error.message}", error.violations) from None
    except (OSError, ValueError) as error:
        raise invalid.of(Violation(path, f"cannot be read: {error}")) from None


def parse_toml(text: str, invalid: type[InvalidInput]) -> dict[str, Any]:
    """Read TOML; what is none is refused with the class `invalid`."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"this is no TOML: {error}") from None


def write_file(path: Path, content: bytes) -> None:
    """Write beside `path`, then put it in its place, so that no reader sees half a file."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)  # mkstemp's files are its owner's alone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
