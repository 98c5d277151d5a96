"""The wire contract as .proto files, for tools of other languages; they come with an installed imcnas."""

from __future__ import annotations

from pathlib import Path

from services.common.files import write_file


def path() -> Path:
    """Folder to give protoc with ``-I``; the files lie in it as ``imcnas/v1/*.proto``.

    The Python stubs made of them lie there, too: `copy` takes the protos alone.
    """
    return Path(__file__).with_name("pb")


def files() -> tuple[Path, ...]:
    """Every proto, relative to `path`, as they import one another."""
    return tuple(sorted(file.relative_to(path()) for file in path().rglob("*.proto")))


def copy(to: Path) -> tuple[Path, ...]:
    """Copy the protos to a folder, which is made if need be, and name the copies.

    Those of an older version are replaced.

    Raises
    ------
    OSError
        Something there cannot be written.
    """
    copies = []
    for file in files():
        (to / file).parent.mkdir(parents=True, exist_ok=True)
        write_file(to / file, (path() / file).read_bytes())
        copies.append(to / file)
    return tuple(copies)
