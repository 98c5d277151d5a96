"""The database of the store: opened, brought to this version, and what its faults mean."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from services.common.closing import Closing
from services.common.errors import ImcnasError, InvalidRequest, NotPossible, Unavailable, Violation
from services.common.sql import BUSY_TIMEOUT_S, connect, database_name, is_lost, transaction
from services.searcher.migrations import UnknownTables, migrate

PATIENCE_S = 60.0
"""How long a server that went away is waited for: a restart loses no training that ends meanwhile."""

RETRY_S = 0.5

FIXES = (
    (("disk is full", "no space left", "disk i/o"), "make room on its disk, or see whether that fails"),
    (("locked",), f"another process has held it for {BUSY_TIMEOUT_S} s; end that one (fuser names it)"),
    (("readonly", "read-only", "unable to open"), "let this user write to the file and to its folder"),
    (("malformed", "corrupt"), "put back a backup of it"),
)
"""What to do, by what the database's own message says."""

log = logging.getLogger(__name__)


class Database(Closing):
    """The tables of studies and trials, in the version of this imcnas.

    Parameters
    ----------
    where : Path or str
        SQLite file, made with its folder where absent, or the URL of a PostgreSQL database.

    Raises
    ------
    InvalidRequest
        It cannot be opened, or is no database.
    NotPossible
        A later version wrote it, or something else has tables of those names there.
    """

    def __init__(self, where: Path | str) -> None:
        self.name = database_name(where)
        self._lost_since: float | None = None
        try:
            self._engine = connect(where)
        except (OSError, ValueError) as error:
            raise self._unusable(error) from error
        try:
            migrate(self._engine)
        except UnknownTables as error:
            self.close()
            raise NotPossible(f"store: {self.name} {error}") from None
        except sa.exc.DBAPIError as error:
            self.close()
            raise self._unusable(error.orig) from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[sa.Connection]:
        """Begin a transaction, committed at the end of the block.

        Raises
        ------
        Unavailable
            The server is gone, for longer than PATIENCE_S or in the middle of the block.
        NotPossible
            The database fails otherwise: its disk is full, or it is locked for long.
        """
        try:
            with transaction(self._connect(), write=write) as connection:
                yield connection
        except sa.exc.IntegrityError:
            raise
        except sa.exc.DatabaseError as error:
            raise self._fault(error) from error

    def clock(self) -> sa.ColumnElement[float]:
        """Unix time in seconds, as an expression: the same one for all who share the database.

        A server's own, for its users' clocks may differ by more than a lease lasts. Users of a SQLite
        file are on one machine (its WAL mode needs shared memory), and so have one clock.
        """
        if self._engine.dialect.name == "sqlite":
            return sa.literal(time.time(), sa.Float)
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float)

    def _connect(self) -> sa.Connection:
        """Connect, waiting for a server that went away. Only here, before anything is begun, is that safe."""
        while True:
            try:
                connection = self._engine.connect()
            except sa.exc.DatabaseError as error:
                now = time.monotonic()
                if is_lost(error) and self._lost_since is None:
                    self._lost_since = now
                    log.warning("store: %s does not answer; waiting for it up to %g s", self.name, PATIENCE_S)
                # What has been waited for once is not waited for again by whatever else is called then.
                if self._lost_since is None or now - self._lost_since > PATIENCE_S:
                    raise
                time.sleep(RETRY_S)
            else:
                self._lost_since = None
                return connection

    def _fault(self, error: sa.exc.DatabaseError) -> ImcnasError:
        detail = _one_line(error.orig)
        if is_lost(error):
            return Unavailable(
                f"store: lost {self.name} ({detail}); see that its server runs and can be reached. "
                "What was finished is kept: run the same search again then"
            )
        fix = next((f for signs, f in FIXES if any(s in detail.lower() for s in signs)), "mend that")
        return NotPossible(
            f"store: {self.name} failed ({detail}); {fix}. "
            "What was finished is kept: run the same search again then"
        )

    def _unusable(self, error: object) -> ImcnasError:
        text = f"cannot open {self.name} as a store of studies ({_one_line(error)}); "
        if "://" in self.name:
            text += "see that its server runs, and lets this user make tables in this database"
        else:
            text += "give a path in a folder that can be written to, new or made by imcnas"
        return InvalidRequest.of(Violation("store", text))


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
