"""Studies and trials in a database: what is committed here is what a search can resume from."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.common.closing import Closing
from services.common.codec import dumps, loads
from services.common.errors import InvalidRequest, NotFound, StudyConflict, violation
from services.hw_oracle.types import LayerCost
from services.searcher.database import Database
from services.searcher.lease import LEASE_S, describe, is_live, new_owner
from services.searcher.rows import (
    FINISH,
    LAYERS,
    STUDIES,
    SUMMARY,
    TRIALS,
    StudyRecord,
    config_of,
    study_of,
    trial_of,
    trial_values,
)
from services.searcher.same import check_same
from services.searcher.types import StudyConfig, StudyState, Trial, TrialState


class Store(Closing):
    """The studies of a database; every method is one committed transaction and may be called from any thread.

    Any method raises `Unavailable` or `NotPossible` when the database fails: see
    `services.searcher.database.Database.transaction`. What was committed before is kept.

    Parameters
    ----------
    where : Path or str
        SQLite file, made with its folder where absent, or a URL such as ``postgresql://user@host/name``.

    Raises
    ------
    InvalidRequest
        It cannot be opened, or is no database.
    NotPossible
        A later version wrote it, or something that is not imcnas.
    """

    def __init__(self, where: Path | str) -> None:
        self._database = Database(where)
        self._transaction = self._database.transaction
        self._owner = new_owner()

    @property
    def name(self) -> str:
        """What messages call the database: its file, or its URL without a password."""
        return self._database.name

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def open_study(self, config: StudyConfig, trials_wanted: int, *, served: bool = False) -> StudyRecord:
        """Make the study of `config.name`, or reopen it with a new number of trials, and take its lease.

        Parameters
        ----------
        config : StudyConfig
        trials_wanted : int
            Of a study that runs already it can only be raised.
        served : bool
            Whether a service runs it, which resumes it when it starts again.

        Raises
        ------
        InvalidRequest
            `trials_wanted` is below 1.
        StudyConflict
            A study of that name has trials made with other settings, which are listed; or it is being
            searched by another process.
        """
        if trials_wanted < 1:
            raise InvalidRequest.of(violation("trials", trials_wanted, "1 or more"))
        try:
            study_id = self._open(config, trials_wanted, served)
        except sa.exc.IntegrityError:  # somebody else made it a moment ago
            study_id = self._open(config, trials_wanted, served)
        return self.study(study_id)

    def _open(self, config: StudyConfig, trials_wanted: int, served: bool) -> str:
        named = sa.select(STUDIES).where(STUDIES.c.name == config.name).with_for_update()
        with self._transaction() as connection:
            row = connection.execute(named).one_or_none()
            if row is None:
                study_id = uuid.uuid4().hex[:16]
                connection.execute(
                    STUDIES.insert().values(
                        study_id=study_id,
                        name=config.name,
                        config=dumps(config),
                        state=str(StudyState.RUNNING),
                        trials_wanted=trials_wanted,
                        created_at=time.time(),
                        served=served,
                    )
                )
            else:
                study_id = str(row.study_id)
                live = is_live(row.owner, row.lease_until, self._now(connection))
                counted = sa.select(sa.func.count()).where(TRIALS.c.study_id == study_id)
                count = connection.execute(counted).scalar_one()
                changes = {"state": str(StudyState.RUNNING), "failure": "", "note": "", "served": served}
                if count or live:
                    check_same(config_of(row), config)
                else:  # it could not even start: other settings may be what mends that
                    changes["config"] = dumps(config)
                changes["trials_wanted"] = max(trials_wanted, count, row.trials_wanted if live else 0)
                connection.execute(STUDIES.update().where(STUDIES.c.study_id == study_id).values(**changes))
            self._take(connection, study_id)
        return study_id

    def acquire(self, study_id: str) -> None:
        """Become who runs the study, or go on being it.

        Raises
        ------
        StudyConflict
            Somebody else runs it.
        """
        with self._transaction() as connection:
            self._take(connection, study_id)

    def release(self, study_id: str) -> None:
        """Let others run the study."""
        mine = sa.and_(STUDIES.c.study_id == study_id, STUDIES.c.owner == self._owner)
        with self._transaction() as connection:
            connection.execute(STUDIES.update().where(mine).values(owner=None, lease_until=None))

    def _take(self, connection: sa.Connection, study_id: str) -> None:
        row = self._locked(connection, study_id)
        now = self._now(connection)  # asked after the wait for the row
        if row.owner != self._owner and is_live(row.owner, row.lease_until, now):
            raise self._taken(row)
        chosen = STUDIES.update().where(STUDIES.c.study_id == study_id)
        connection.execute(chosen.values(owner=self._owner, lease_until=now + LEASE_S))

    def _fence(self, connection: sa.Connection, study: StudyRecord) -> None:
        """Refuse to write for a process that lost its study meanwhile, such as on a machine that slept."""
        row = self._locked(connection, study.study_id)
        if row.owner not in (None, self._owner):
            raise self._taken(row)

    def _locked(self, connection: sa.Connection, study_id: str) -> sa.Row[Any, Any, Any]:
        """Who runs a study; until the transaction ends nobody else becomes it (of SQLite it has the file)."""
        lease = sa.select(STUDIES.c.name, STUDIES.c.owner, STUDIES.c.lease_until)
        return connection.execute(lease.where(STUDIES.c.study_id == study_id).with_for_update()).one()

    def _taken(self, row: sa.Row[Any, Any, Any]) -> StudyConflict:
        return StudyConflict(
            f"study: {row.name!r} is being searched by {describe(row.owner)}; "
            f"stop that one, or wait until it has ended (should it have died, at most {LEASE_S:g} s)"
        )

    def _now(self, connection: sa.Connection) -> float:
        return float(connection.execute(sa.select(self._database.clock())).scalar_one())

    def study(self, study: str) -> StudyRecord:
        """Find a study by its id or its name.

        Raises
        ------
        NotFound
            Neither exists.
        """
        either = sa.or_(STUDIES.c.study_id == study, STUDIES.c.name == study)
        chosen = sa.select(STUDIES, self._database.clock().label("now")).where(either).limit(1)
        with self._transaction(write=False) as connection:
            row = connection.execute(chosen).one_or_none()
        if row is None:
            raise NotFound(f"study: no study {study!r} in {self.name}")
        return study_of(row)

    def studies(self) -> tuple[StudyRecord, ...]:
        """Every study, the oldest first."""
        chosen = sa.select(STUDIES, self._database.clock().label("now")).order_by(STUDIES.c.created_at)
        with self._transaction(write=False) as connection:
            return tuple(map(study_of, connection.execute(chosen)))

    def trial_counts(self) -> dict[str, Counter[TrialState]]:
        """How many trials of each state every study has, by study id; a study without trials is absent."""
        chosen = sa.select(TRIALS.c.study_id, TRIALS.c.state, sa.func.count().label("trials"))
        found: dict[str, Counter[TrialState]] = {}
        with self._transaction(write=False) as connection:
            for row in connection.execute(chosen.group_by(TRIALS.c.study_id, TRIALS.c.state)):
                found.setdefault(row.study_id, Counter())[TrialState(row.state)] = row.trials
        return found

    def trials_wanted(self, study_id: str) -> int:
        """How many trials the study is to have; it may rise while the search runs."""
        chosen = sa.select(STUDIES.c.trials_wanted).where(STUDIES.c.study_id == study_id)
        with self._transaction(write=False) as connection:
            return int(connection.execute(chosen).scalar_one())

    def set_state(self, study_id: str, state: StudyState, failure: str = "", note: str = "") -> None:
        """Record how the search stands."""
        with self._transaction() as connection:
            connection.execute(
                STUDIES.update()
                .where(STUDIES.c.study_id == study_id)
                .values(state=str(state), failure=failure, note=note)
            )

    def delete_study(self, study: StudyRecord) -> None:
        """Delete a study with its trials; results of the trainings are not kept here and stay.

        Raises
        ------
        StudyConflict
            Somebody runs it.
        """
        with self._transaction() as connection:
            self._take(connection, study.study_id)
            connection.execute(STUDIES.delete().where(STUDIES.c.study_id == study.study_id))

    def trials(self, study: StudyRecord, start: int = 0, limit: int | None = None) -> tuple[Trial, ...]:
        """Trials from number `start` on, at most `limit`, their costs without layers."""
        chosen = sa.select(*SUMMARY).where(_of(study), TRIALS.c.number >= start).order_by(TRIALS.c.number)
        return self._read(study, chosen.limit(limit))

    def finished_trials(self, study: StudyRecord, cursor: int = 0) -> tuple[Trial, ...]:
        """Trials in the order in which they finished, without the first `cursor`; costs without layers."""
        order = TRIALS.c.finish_order
        chosen = sa.select(*SUMMARY).where(_of(study), order >= cursor).order_by(order)
        return self._read(study, chosen)

    def _read(self, study: StudyRecord, chosen: sa.Select[Any]) -> tuple[Trial, ...]:
        piecewise = chosen.execution_options(yield_per=500)  # psycopg would hold every row at once
        with self._transaction(write=False) as connection:
            return tuple(trial_of(study.config, row) for row in connection.execute(piecewise))

    def trial(self, study: StudyRecord, number: int) -> Trial:
        """One trial, its cost with layers; NotFound where there is none of that number."""
        chosen = sa.select(TRIALS).where(_of(study), TRIALS.c.number == number)
        of_trial = (LAYERS.c.study_id == study.study_id) & (LAYERS.c.number == number)
        with self._transaction(write=False) as connection:
            row = connection.execute(chosen).one_or_none()
            layers = connection.scalar(sa.select(LAYERS.c.cost_layers).where(of_trial))
        if row is None:
            raise NotFound(f"trial: study {study.config.name!r} has no trial {number}")
        trial = trial_of(study.config, row)
        return replace(trial, cost=replace(trial.cost, layers=loads(tuple[LayerCost, ...], layers or "[]")))

    def insert_trial(self, study: StudyRecord, trial: Trial) -> None:
        """Record a trial before it is trained.

        Raises
        ------
        StudyConflict
            Its number or network is there already, or another process runs the study.
        """
        try:
            with self._transaction() as connection:
                self._fence(connection, study)
                key = {"study_id": study.study_id, "number": trial.number}
                connection.execute(TRIALS.insert().values(**key | trial_values(trial)))
                connection.execute(LAYERS.insert().values(**key, cost_layers=dumps(trial.cost.layers)))
        except sa.exc.IntegrityError as error:
            raise StudyConflict(
                f"study: trial {trial.number} of {study.config.name!r} is in {self.name} already: "
                "another process runs this study; stop one of them"
            ) from error

    def finish_trial(self, study: StudyRecord, trial: Trial) -> None:
        """Record a trial's result; once this returns, the trial is finished for good.

        Raises
        ------
        StudyConflict
            It was finished before, or another process runs the study.
        """
        last = sa.select(sa.func.coalesce(sa.func.max(TRIALS.c.finish_order) + 1, 0)).where(_of(study))
        changed = {name: value for name, value in trial_values(trial).items() if name in FINISH}
        running = TRIALS.c.state == str(TrialState.RUNNING)
        with self._transaction() as connection:
            self._fence(connection, study)
            changed_rows = connection.execute(
                TRIALS.update()
                .where(_of(study), TRIALS.c.number == trial.number, running)
                .values(finish_order=last.scalar_subquery(), **changed)
            ).rowcount
        if not changed_rows:
            raise StudyConflict(
                f"study: trial {trial.number} of {study.config.name!r} was finished by another process"
            )


def _of(study: StudyRecord) -> sa.ColumnElement[bool]:
    return TRIALS.c.study_id == study.study_id
