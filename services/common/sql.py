"""Databases: a SQLite file or a URL, configured so that several threads and processes can share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

BUSY_TIMEOUT_S = 30
"""How long a writer of a SQLite file waits for another one."""


def connect(where: Path | str) -> sa.Engine:
    """Open a database; a SQLite file's folder is made where absent.

    Parameters
    ----------
    where : Path or str
        File, or a URL such as ``postgresql+psycopg://user@host/name``.

    Raises
    ------
    OSError
        The folder cannot be made.
    sqlalchemy.exc.ArgumentError
        No URL that SQLAlchemy understands.
    """
    if isinstance(where, str) and "://" in where:
        url = sa.make_url(where)
    else:
        url = sa.URL.create("sqlite", database=str(where))
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True)
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def transaction(engine: sa.Engine, *, write: bool) -> Iterator[sa.Connection]:
    """Begin a transaction; one that writes waits for others who do before it reads what it builds on."""
    with engine.connect().execution_options(imcnas_write=write) as connection, connection.begin():
        yield connection


def _configure(connection: Any, _: object) -> None:
    """Readers do not block the writer; a commit is on the disk when it returns; references hold."""
    connection.isolation_level = None  # transactions are begun by `_begin`, not by the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    """Take the writer's place at the beginning: a lock that must grow later cannot wait for its turn."""
    write = connection.get_execution_options().get("imcnas_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
