"""``python -m services.searcher.migrations "Trials keep their budget"``: draft what rows.py changed."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from services.common.sql import connect, transaction
from services.searcher.migrations import HEAD, make_config, migrate


def main(message: str) -> None:
    """Write a migration from HEAD to the tables of rows.py, to be read and completed."""
    from alembic import command

    with tempfile.TemporaryDirectory() as folder:
        engine = connect(Path(folder, "head.sqlite"))
        migrate(engine)
        with transaction(engine, write=False) as connection:
            command.revision(
                make_config(connection), message.rstrip("."), autogenerate=True, rev_id=f"{int(HEAD) + 1:04}"
            )
        engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
