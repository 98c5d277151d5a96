"""Results of evaluations by what decides them, in a database of their own: what was trained once is known."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.common.closing import Closing
from services.common.codec import dumps, loads
from services.common.errors import InvalidRequest, Violation
from services.common.sql import connect, database_name, lock_tables, transaction
from services.trainer.identity import Identity
from services.trainer.types import AccuracyReport, EvaluationRequest

log = logging.getLogger(__name__)

TABLES = sa.MetaData()
EVALUATIONS = sa.Table(
    "evaluations",
    TABLES,
    sa.Column("evaluation", sa.String(64), primary_key=True),  # what decides the result: identity.py
    sa.Column("network_key", sa.String(64), nullable=False, index=True),
    sa.Column("request", sa.Text, nullable=False),  # the one that was trained for
    sa.Column("report", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
)


class ResultCache(Closing):
    """Results in a database; may be called from any thread, and several trainers may share one.

    It saves trainings and never costs one: a database that fails is logged, and counts as empty.

    Parameters
    ----------
    where : Path or str
        SQLite file, made with its folder where absent, or the URL of a database.

    Raises
    ------
    InvalidRequest
        The database cannot be opened.
    """

    def __init__(self, where: Path | str) -> None:
        try:
            self._engine = connect(where)
            with transaction(self._engine, write=True) as connection:
                lock_tables(connection)
                TABLES.create_all(connection)
        except (OSError, ValueError, sa.exc.SQLAlchemyError) as error:
            detail = getattr(error, "orig", None) or error
            text = f"cannot open {database_name(where)} ({detail}); "
            text += "give a file that can be written to, or a database's URL"
            raise InvalidRequest.of(Violation("cache", text)) from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def find(self, identity: Identity, request: EvaluationRequest) -> AccuracyReport | None:
        """Give a result that answers a request, or None.

        A training that was stopped early answers those alone that would have been stopped as well: they
        ask for at least as much.
        """
        try:
            with transaction(self._engine, write=False) as connection:
                row = connection.execute(_chosen(identity)).one_or_none()
            if row is None:
                return None
            report = loads(AccuracyReport, row.report)
            if report.stopped_early:
                return report if _asked(request) >= _asked(loads(EvaluationRequest, row.request)) else None
        except Exception:  # whatever a damaged row or a lost database raises: train
            log.warning("the cache of results failed", exc_info=True)
            return None
        if request.judge_test and report.test_accuracy_frac is None:
            return None
        return report

    def put(self, identity: Identity, request: EvaluationRequest, report: AccuracyReport) -> None:
        """Keep a result, unless one that says more is there."""
        row = {
            "evaluation": identity.evaluation,
            "network_key": identity.network_key,
            "request": dumps(request),
            "report": dumps(report),
            "created_at": time.time(),
        }
        same = EVALUATIONS.c.evaluation == identity.evaluation
        try:
            with transaction(self._engine, write=True) as connection:
                old = connection.execute(_chosen(identity)).one_or_none()
                if old is None:
                    connection.execute(EVALUATIONS.insert().values(**row))
                elif _says(dumps(request), dumps(report)) > _says(old.request, old.report):
                    connection.execute(EVALUATIONS.update().where(same).values(**row))
        except sa.exc.IntegrityError:
            pass  # another trainer was first, with the same result
        except sa.exc.SQLAlchemyError:
            log.warning("a result is not cached", exc_info=True)


def _chosen(identity: Identity) -> sa.Select[Any]:
    return sa.select(EVALUATIONS).where(EVALUATIONS.c.evaluation == identity.evaluation)


def _asked(request: EvaluationRequest) -> float:
    """Accuracy below which a training is stopped; less than any if never."""
    return -1.0 if request.stop_below_frac is None else request.stop_below_frac


def _says(request: str, report: str) -> tuple[bool, bool, float]:
    """Order rows by how much they answer; one that is damaged answers nothing."""
    try:
        result, asked = loads(AccuracyReport, report), _asked(loads(EvaluationRequest, request))
    except Exception:
        return False, False, -2.0
    return (
        not result.stopped_early,
        result.test_accuracy_frac is not None,
        -asked if result.stopped_early else 0,
    )
