"""Databases: a SQLite file or PostgreSQL, configured so that several threads and processes can share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

BUSY_TIMEOUT_S = 30
"""How long a writer of a SQLite file waits for another one."""

POSTGRESQL = {
    "application_name": "imcnas",
    "connect_timeout": "10",
    # A server that vanished without a word is noticed in half a minute, not in TCP's quarter of an hour.
    "tcp_user_timeout": "30000",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
}
"""Parameters of libpq where the URL has none of its own."""


def connect(where: Path | str) -> sa.Engine:
    """Open a database; a SQLite file's folder is made where absent.

    Parameters
    ----------
    where : Path or str
        File, or a URL: ``postgresql://user@host/name`` (through psycopg 3), ``sqlite:///file``.

    Raises
    ------
    OSError
        The folder cannot be made.
    ValueError
        No URL of such a database, or its driver is not installed; the text has no password.
    """
    url = _url(where)
    if url.get_backend_name() == "postgresql":
        missing = {key: value for key, value in POSTGRESQL.items() if key not in url.query}
        try:
            # Pinged before use: a connection that broke while it was idle is made again.
            return sa.create_engine(url.update_query_dict(missing), pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise ValueError(f"PostgreSQL needs {error.name}; run: pip install 'imcnas[postgres]'") from None
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    return engine


def is_url(where: Path | str) -> bool:
    """Whether a database is named by a URL, not by its file."""
    return isinstance(where, str) and "://" in where


def database_name(where: Path | str) -> str:
    """Name a database in messages and logs: its file, or its URL without a password."""
    if not is_url(where):
        return str(where)
    try:
        url = _url(where)
    except ValueError:  # whatever part of it is the password
        return f"{str(where).partition('://')[0]}://..."
    secret = {key: "hidden" for key in url.query if "password" in key.lower()}
    return url.set(drivername=url.get_backend_name()).update_query_dict(secret).render_as_string()


@contextmanager
def transaction(where: sa.Engine | sa.Connection, *, write: bool) -> Iterator[sa.Connection]:
    """Begin a transaction; one that writes a SQLite file waits for others before it reads what it builds on.

    A connection that is given is closed at the end, as one that is made here.
    """
    connection = where.connect() if isinstance(where, sa.Engine) else where
    with connection.execution_options(imcnas_write=write), connection.begin():
        yield connection


def lock_tables(connection: sa.Connection) -> None:
    """Let one process at a time make or change tables, until its transaction ends."""
    if connection.dialect.name == "postgresql":  # a writer of a SQLite file has all of it anyway
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(int.from_bytes(b"imcnas", "big"))))


def is_lost(error: sa.exc.DBAPIError) -> bool:
    """Whether a server could not be reached, or the connection to it broke."""
    # psycopg has no SQLSTATE for what the server itself did not say.
    return error.connection_invalidated or getattr(error.orig, "sqlstate", "") is None


def _url(where: Path | str) -> sa.URL:
    if not is_url(where):
        return sa.URL.create("sqlite", database=str(where))
    try:
        url = sa.make_url(str(where).replace("postgres://", "postgresql://", 1))
    except (ValueError, sa.exc.ArgumentError):  # their texts may quote the password
        raise ValueError("this is no URL; write postgresql://USER@HOST:PORT/NAME") from None
    if "@" in (url.host or ""):
        raise ValueError("write @ in a password as %40, or give the password in PGPASSWORD or ~/.pgpass")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ValueError("wanted the path of a SQLite file, or postgresql://USER@HOST:PORT/NAME")
    return url if url.get_backend_name() == "sqlite" else url.set(drivername="postgresql+psycopg")


def _configure(connection: Any, _: object) -> None:
    """Readers do not block the writer; a commit is on the disk when it returns; references hold."""
    connection.isolation_level = None  # transactions are begun by `_begin`, not by the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    """Take the writer's place at the beginning: a lock that must grow later cannot wait for its turn."""
    write = connection.get_execution_options().get("imcnas_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
