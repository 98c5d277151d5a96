"""The tables of the store through its versions: each file of `versions` leads from one to the next.

alembic is loaded only by what has something to do: a store of this version is known by one look.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import sqlalchemy as sa

from services.common.sql import lock_tables, transaction

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent
VERSION_TABLE = "imcnas_store_version"
"""Not alembic's own name, which another tool may use in the same database."""

HEAD = max(file.name[1:5] for file in (FOLDER / "versions").glob("v*.py"))
"""Version of the tables in `services.searcher.rows`."""

_in_process = Lock()  # alembic's context is one for all threads


class UnknownTables(Exception):
    """A database holds tables that this version does not know; the text says which and what to do."""


def migrate(engine: sa.Engine) -> None:
    """Bring a database to HEAD: make the tables, or go on from an earlier version; one process at a time.

    Raises
    ------
    UnknownTables
        A later version wrote them, or something that is not imcnas.
    """
    with transaction(engine, write=False) as connection:
        if _version(connection) == HEAD:
            return
    with _in_process, transaction(engine, write=True) as connection:
        lock_tables(connection)
        version = _version(connection)
        if version is not None and version > HEAD:
            raise UnknownTables(
                f"has schema version {version}, this imcnas reads {HEAD}; "
                "use the version of imcnas that wrote it, or another database"
            )
        from alembic import command

        config = make_config(connection)
        if version is None and _adopt(connection):
            command.stamp(config, "0001")
        command.upgrade(config, "head")


def make_config(connection: sa.Connection) -> Config:
    """Make alembic's configuration for one connection; it commits nothing itself."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    return config


def _version(connection: sa.Connection) -> str | None:
    """Version that the tables have; None where they are not numbered yet."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))


def _adopt(connection: sa.Connection) -> bool:
    """Whether there are tables of before versions were alembic's; their number goes, they stay."""
    tables = set(sa.inspect(connection).get_table_names())
    if {"schema_version", "studies", "trials"} <= tables:
        number = connection.scalar(sa.text("SELECT version FROM schema_version"))
        if number != 1:
            raise UnknownTables(f"has schema version {number}, which this imcnas does not know")
        connection.execute(sa.text("DROP TABLE schema_version"))
        return True
    foreign = sorted({"studies", "trials", "trial_layers"} & tables)
    if foreign:
        raise UnknownTables(
            f"has tables named {' and '.join(foreign)} that imcnas did not make; "
            "use an empty database, or a schema of its own: add ?options=-csearch_path%3DNAME to the URL"
        )
    return False
