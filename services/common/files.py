"""Files that people write: whatever is wrong with one, the error names it."""

from __future__ import annotations

import os
import secrets
import shutil
import tomllib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from services.common.errors import InvalidInput, InvalidRequest, NotFound, Violation

T = TypeVar("T")

MAX_CHARACTERS = 2**20
"""Of a file that people write: a device that never ends is no such file."""


def read_file(path: str, parse: Callable[[str], T], invalid: type[InvalidInput]) -> T:
    """Read a text file with `parse`.

    Raises
    ------
    NotFound
        No such file.
    InvalidInput
        Of the class `invalid`: the file cannot be read, is too long, sets nothing, or `parse` refuses it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
        if len(text) > MAX_CHARACTERS:
            raise invalid(f"this is too long: wanted at most {MAX_CHARACTERS} characters")
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


def title(text: str) -> str:
    """Give the title of such a file: its first line, where that is a comment."""
    first, _, _ = text.lstrip("\ufeff").partition("\n")
    return first.strip("#; \t\r") if first[:1] in ("#", ";") else ""


def notes(text: str) -> str:
    """Read the notes in such a file: the comment lines behind its title, up to the first that is none."""
    lines = text.lstrip("\ufeff").splitlines()[1:] if title(text) else []
    found = []
    for line in lines:
        if line[:1] not in ("#", ";"):
            break
        found.append(line[1:].removeprefix(" ").rstrip())
    return "\n".join(found).strip("\n")


def write_file(path: Path, content: bytes) -> None:
    """Write beside `path`, then put it in its place, so that no reader sees half a file.

    Raises
    ------
    OSError
        Naming `path`, whichever step failed.
    """
    temporary = path.parent / f".{path.name[:40]}.{secrets.token_hex(8)}"
    try:
        with open(temporary, "xb") as file:  # unlike tempfile's, with the permissions that the umask leaves
            file.write(content)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def check_new_folder(folder: Path, replaced: Collection[str] = ()) -> None:
    """Refuse a place where `new_folder` could not put one.

    Parameters
    ----------
    folder : Path
    replaced : collection of str
        Names of files that may be in it.

    Raises
    ------
    InvalidRequest
        A file is there, or a folder with something else in it; or its parent cannot be written to.
    """
    try:
        inside = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        kept = sorted(inside.difference(replaced))
        if kept or (os.path.lexists(folder) and not folder.is_dir()):
            told = f"holds {kept[0]}" if kept else "is a file"
            text = f"{told}, which is not replaced; give another name, or move it away"
            raise InvalidRequest.of(Violation(str(folder), text))
        parent = next(p for p in folder.absolute().parents if p.exists())
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise InvalidRequest.of(Violation(str(folder), f"{parent} cannot be written to; give another folder"))


@contextmanager
def new_folder(folder: Path, replaced: Collection[str] = ()) -> Iterator[Path]:
    """Give a folder to fill, which takes its place when all of it is written, or is removed.

    Parameters
    ----------
    folder, replaced
        As of `check_new_folder`; what is there stays until then.

    Raises
    ------
    InvalidRequest
        As `check_new_folder`, or writing failed.
    """
    check_new_folder(folder, replaced)
    folder = folder.resolve()
    temporary = folder.parent / f".{folder.name[:40]}.{secrets.token_hex(8)}"
    old = temporary.with_name(f"{temporary.name}.old")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.is_dir():
            check_new_folder(folder, replaced)  # what came meanwhile is not removed
            folder.rename(old)
        try:
            temporary.rename(folder)
        except OSError:
            if old.is_dir():
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> InvalidInput:
    text = f"cannot be written: {error.strerror or error}; give another folder"
    return InvalidRequest(f"{folder}: {text}", [Violation(str(folder), text)])
