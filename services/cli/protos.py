"""`imcnas protos`: the wire contract, for clients in other languages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.common.errors import InvalidRequest, Violation


def command(
    copy: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Copy them to DIR/imcnas/v1; older ones there are replaced."),
    ] = None,
) -> None:
    """Tell where the .proto files are that clients in other languages are made of.

    Prints the folder to give protoc, buf or a loader of protos, or the copies.

    For example:

      protoc -I "$(imcnas protos)" --cpp_out=. imcnas/v1/hw_oracle.proto

      imcnas protos --copy third_party
    """
    from services.common import protos

    if copy is None:
        print(protos.path())
        return
    try:
        copies = protos.copy(copy)
    except OSError as error:
        raise InvalidRequest.of(Violation("--copy", f"cannot write to {copy}: {error}")) from None
    for file in copies:
        print(file)
