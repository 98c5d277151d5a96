"""Which database the studies are in: a file in the runs folder, or what --store names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.arguments import STORE
from services.common.errors import NotFound, Violation

if TYPE_CHECKING:
    from services.searcher.store import Store

StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        help=f"Database of the studies: a SQLite file (default: RUNS/{STORE}), or a postgresql:// URL.",
    ),
]


def existing_store(store: str, runs: Path, option: str = "--runs") -> Store:
    """Open the store that `store` names, else that of the folder `runs`; NotFound where there is no file."""
    from services.common.sql import is_url
    from services.searcher.store import Store

    where = store or str(runs / STORE)
    if not is_url(where) and not Path(where).is_file():
        fix = "give their database with --store" if store else "give their folder with --runs"
        text = f"no studies in {where}; run imcnas search first, or {fix}"
        raise NotFound(f"{option}: {text}", [Violation(option, text)])
    return Store(where)
