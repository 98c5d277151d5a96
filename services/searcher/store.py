"""Studies and trials in one SQLite file: what is committed here is what a search can resume from."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.common.codec import dumps, loads, to_jsonable
from services.common.errors import (
    ImcnasError,
    InvalidRequest,
    NotFound,
    NotPossible,
    StudyConflict,
    Violation,
    violation,
)
from services.common.sql import connect, transaction
from services.hw_oracle.types import LayerCost
from services.searcher.lease import LEASE_S, describe, is_live, new_owner
from services.searcher.rows import (
    SCHEMA,
    SCHEMA_VERSION,
    STUDIES,
    SUMMARY,
    TABLES,
    TRIALS,
    StudyRecord,
    study_of,
    trial_of,
    trial_values,
)
from services.searcher.types import StudyConfig, StudyState, Trial, TrialState


class Store:
    """The file of studies; every method is one committed transaction and may be called from any thread.

    Parameters
    ----------
    path : Path
        SQLite file; made with its folder where absent.

    Raises
    ------
    InvalidRequest
        The path cannot be opened or is no database of ours.
    NotPossible
        A later version wrote it. Any method raises it when the file fails (disk full, locked for long).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._owner = new_owner()
        try:
            self._engine = connect(path)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            with transaction(self._engine, write=True) as connection:
                TABLES.create_all(connection)
                version = connection.scalar(sa.select(SCHEMA.c.version))
                if version is None:
                    connection.execute(SCHEMA.insert().values(version=SCHEMA_VERSION))
        except sa.exc.DatabaseError as error:
            self.close()
            raise _unusable(path, error) from error
        if version is not None and version != SCHEMA_VERSION:
            self.close()
            raise NotPossible(
                f"store: {path} has schema version {version}, this imcnas reads {SCHEMA_VERSION}; "
                "use the version of imcnas that wrote it, or another path"
            )

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, *, write: bool = True) -> Iterator[sa.Connection]:
        try:
            with transaction(self._engine, write=write) as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise NotPossible(
                f"store: {self.path} failed ({error.orig}); what was finished is kept, "
                "so run the search again once that is mended"
            ) from error

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
        with self._transaction() as connection:
            row = connection.execute(sa.select(STUDIES).where(STUDIES.c.name == config.name)).one_or_none()
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
                study_id = row.study_id
                live = is_live(row.owner, row.lease_until)
                counted = sa.select(sa.func.count()).where(TRIALS.c.study_id == study_id)
                count = connection.execute(counted).scalar_one()
                changes = {"state": str(StudyState.RUNNING), "failure": "", "note": "", "served": served}
                if count or live:
                    _check_same(loads(StudyConfig, row.config), config)
                else:  # it could not even start: other settings may be what mends that
                    changes["config"] = dumps(config)
                changes["trials_wanted"] = max(trials_wanted, count, row.trials_wanted if live else 0)
                connection.execute(STUDIES.update().where(STUDIES.c.study_id == study_id).values(**changes))
            self._take(connection, study_id)
        return self.study(study_id)

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
        row = connection.execute(sa.select(STUDIES).where(STUDIES.c.study_id == study_id)).one()
        if row.owner != self._owner and is_live(row.owner, row.lease_until):
            raise StudyConflict(
                f"study: {row.name!r} is being searched by {describe(row.owner)}; "
                f"stop that one, or wait until it has ended (should it have died, at most {LEASE_S:g} s)"
            )
        # Guards against another who takes the study between the look and this.
        unchanged = sa.and_(STUDIES.c.study_id == study_id, STUDIES.c.owner.is_not_distinct_from(row.owner))
        taken = connection.execute(
            STUDIES.update().where(unchanged).values(owner=self._owner, lease_until=time.time() + LEASE_S)
        )
        if not taken.rowcount:
            raise StudyConflict(f"study: somebody else has just begun to search {row.name!r}")

    def study(self, study: str) -> StudyRecord:
        """Find a study by its id or its name.

        Raises
        ------
        NotFound
            Neither exists.
        """
        either = sa.or_(STUDIES.c.study_id == study, STUDIES.c.name == study)
        with self._transaction(write=False) as connection:
            row = connection.execute(sa.select(STUDIES).where(either).limit(1)).one_or_none()
        if row is None:
            raise NotFound(f"study: no study {study!r} in {self.path}")
        return study_of(row)

    def studies(self) -> tuple[StudyRecord, ...]:
        """Every study, the oldest first."""
        with self._transaction(write=False) as connection:
            rows = connection.execute(sa.select(STUDIES).order_by(STUDIES.c.created_at)).all()
        return tuple(map(study_of, rows))

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
            connection.execute(TRIALS.delete().where(_of(study)))
            connection.execute(STUDIES.delete().where(STUDIES.c.study_id == study.study_id))

    def trials(self, study: StudyRecord, start: int = 0) -> tuple[Trial, ...]:
        """Trials from number `start` on, their costs without layers."""
        chosen = sa.select(*SUMMARY).where(_of(study), TRIALS.c.number >= start).order_by(TRIALS.c.number)
        with self._transaction(write=False) as connection:
            return tuple(trial_of(study.config, row) for row in connection.execute(chosen))

    def finished_trials(self, study: StudyRecord, cursor: int = 0) -> tuple[Trial, ...]:
        """Trials in the order in which they finished, without the first `cursor`; costs without layers."""
        order = TRIALS.c.finish_order
        chosen = sa.select(*SUMMARY).where(_of(study), order >= cursor).order_by(order)
        with self._transaction(write=False) as connection:
            return tuple(trial_of(study.config, row) for row in connection.execute(chosen))

    def trial(self, study: StudyRecord, number: int) -> Trial:
        """One trial, its cost with layers; NotFound where there is none of that number."""
        chosen = sa.select(TRIALS).where(_of(study), TRIALS.c.number == number)
        with self._transaction(write=False) as connection:
            row = connection.execute(chosen).one_or_none()
        if row is None:
            raise NotFound(f"trial: study {study.config.name!r} has no trial {number}")
        trial = trial_of(study.config, row)
        layers = loads(tuple[LayerCost, ...], row.cost_layers)
        return replace(trial, cost=replace(trial.cost, layers=layers))

    def insert_trial(self, study: StudyRecord, trial: Trial) -> None:
        """Record a trial before it is trained.

        Raises
        ------
        StudyConflict
            Its number or network is there already: another process runs the same study.
        """
        try:
            with self._transaction() as connection:
                connection.execute(TRIALS.insert().values(study_id=study.study_id, **trial_values(trial)))
        except sa.exc.IntegrityError as error:
            raise StudyConflict(
                f"study: trial {trial.number} of {study.config.name!r} is in {self.path} already: "
                "another process runs this study; stop one of them"
            ) from error

    def finish_trial(self, study: StudyRecord, trial: Trial) -> None:
        """Record a trial's result; once this returns, the trial is finished for good."""
        last = sa.select(sa.func.coalesce(sa.func.max(TRIALS.c.finish_order) + 1, 0)).where(_of(study))
        changed = {
            name: value
            for name, value in trial_values(trial).items()
            if name in ("state", "accuracy", "fitness", "failure", "evaluate_s", "finished_at")
        }
        with self._transaction() as connection:
            changed_rows = connection.execute(
                TRIALS.update()
                .where(_of(study), TRIALS.c.number == trial.number, TRIALS.c.state == str(TrialState.RUNNING))
                .values(finish_order=last.scalar_subquery(), **changed)
            ).rowcount
        if not changed_rows:
            raise StudyConflict(
                f"study: trial {trial.number} of {study.config.name!r} was finished by another process"
            )


def _unusable(path: Path, error: Exception) -> ImcnasError:
    detail = getattr(error, "orig", None) or error
    text = f"cannot open {path} as a store of studies ({detail}); "
    text += "give a path in a folder that can be written to, new or made by imcnas"
    return InvalidRequest.of(Violation("store", text))


def _of(study: StudyRecord) -> sa.ColumnElement[bool]:
    return TRIALS.c.study_id == study.study_id


def _check_same(stored: StudyConfig, asked: StudyConfig) -> None:
    """Raise StudyConflict with every setting that differs; what is for people only is none."""
    old, new = (
        _flat(to_jsonable(replace(c, chip_name="", dataset=replace(c.dataset, description=""))))
        for c in (stored, asked)
    )
    wrong = [
        Violation(field, f"stored {old.get(field)!r}, asked {new.get(field)!r}")
        for field in dict.fromkeys((*old, *new))
        if old.get(field) != new.get(field)
    ]
    if wrong:
        text = f"a study named {stored.name!r} exists with other settings: {'; '.join(map(str, wrong))}"
        raise StudyConflict(f"{text}. Give this one another name (--study NAME), or the same settings", wrong)


def _flat(obj: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested objects by dotted path; lists are leaves."""
    if not isinstance(obj, dict):
        return {path: obj}
    return {
        k: v
        for name, value in obj.items()
        for k, v in _flat(value, f"{path}.{name}" if path else name).items()
    }
