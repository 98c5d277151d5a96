"""The tables of the store, and how studies and trials stand in their rows.

Every change of the tables is a migration (`services.searcher.migrations`; CONTRIBUTING.md says how).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from services.common.candidate import parse_blocks
from services.common.codec import dumps, loads, to_jsonable
from services.common.errors import InvalidInput, NotPossible
from services.hw_oracle.types import CostReport
from services.searcher.lease import is_live
from services.searcher.types import (
    OnChipAccuracy,
    Proposal,
    StudyConfig,
    StudyState,
    Trial,
    TrialState,
    Versions,
)
from services.trainer.types import AccuracyReport

TABLES = sa.MetaData(
    naming_convention={"uq": "uq_%(table_name)s_%(column_0_N_name)s"}
)  # to be dropped by name
STUDIES = sa.Table(
    "studies",
    TABLES,
    sa.Column("study_id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("trials_wanted", sa.Integer, nullable=False),
    sa.Column("failure", sa.Text, nullable=False, default=""),
    sa.Column("note", sa.Text, nullable=False, default=""),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("served", sa.Boolean, nullable=False),  # a service resumes it when it starts again
    sa.Column("owner", sa.String),  # who runs it, while `lease_until` (Unix time) lasts
    sa.Column("lease_until", sa.Float),  # by the database's clock
)
TRIALS = sa.Table(
    "trials",
    TABLES,
    sa.Column("study_id", sa.ForeignKey("studies.study_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("blocks", sa.String, nullable=False),  # compact form; head and projection are the space's
    sa.Column("network_key", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("proposal", sa.String, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("infeasible_proposals", sa.Integer, nullable=False),
    sa.Column("duplicate_proposals", sa.Integer, nullable=False),
    sa.Column("cost", sa.Text, nullable=False),  # totals alone
    sa.Column("accuracy", sa.Text),
    sa.Column("fitness", sa.Float),
    sa.Column("failure", sa.Text, nullable=False),
    sa.Column("ask_s", sa.Float, nullable=False),
    sa.Column("cost_s", sa.Float, nullable=False),
    sa.Column("evaluate_s", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("finished_at", sa.Float, nullable=False),
    sa.Column("request_id", sa.String, nullable=False, server_default=""),
    sa.Column("seed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("chip_hash", sa.String, nullable=False, server_default=""),  # as in cost, for queries
    sa.Column("versions", sa.Text, nullable=False, server_default="{}"),
    sa.Column("on_chip", sa.Text),
    sa.Column("rung_accuracies_frac", sa.Text, nullable=False, server_default="[]"),
    sa.Column("finish_order", sa.Integer),  # 0, 1, ... as the study's trials finish: what a watcher counts
    sa.UniqueConstraint("study_id", "network_key"),
    sa.UniqueConstraint("study_id", "finish_order"),
)
# A table of their own: they are 20 times as long as the rest, seldom read, and SQLite would read past them.
LAYERS = sa.Table(
    "trial_layers",
    TABLES,
    sa.Column("study_id", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("cost_layers", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["study_id", "number"], ["trials.study_id", "trials.number"], ondelete="CASCADE"),
)
SUMMARY = [column for column in TRIALS.c if column.name not in ("chip_hash", "finish_order")]
"""Columns that `trial_of` reads."""

FINISH = (
    "state", "accuracy", "fitness", "failure", "evaluate_s", "finished_at", "versions", "on_chip",
    "rung_accuracies_frac",
)  # fmt: skip
"""Columns that the end of a trial changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """A study's row; see `services.searcher.types.StudyStatus` for the fields."""

    study_id: str
    config: StudyConfig
    state: StudyState
    trials_wanted: int
    failure: str
    note: str
    created_at: float
    served: bool


def config_of(row: sa.Row[Any]) -> StudyConfig:
    """Read a study's settings from its row.

    Raises
    ------
    NotPossible
        A later version, which knows more settings, made the study.
    """
    try:
        return loads(StudyConfig, row.config)
    except InvalidInput as error:
        raise NotPossible(
            f"study: {row.name!r} has settings that this imcnas does not know ({error}); "
            "use the version of imcnas that made it"
        ) from error


def study_of(row: sa.Row[Any]) -> StudyRecord:
    """Read a study from its row and `now`; one that says it runs, though nobody runs it, was interrupted.

    Raises as `config_of`.
    """
    state = StudyState(row.state)
    if state is StudyState.RUNNING and not is_live(row.owner, row.lease_until, row.now):
        state = StudyState.INTERRUPTED
    return StudyRecord(
        study_id=row.study_id,
        config=config_of(row),
        state=state,
        trials_wanted=row.trials_wanted,
        failure=row.failure,
        note=row.note,
        created_at=row.created_at,
        served=row.served,
    )


def trial_values(trial: Trial) -> dict[str, Any]:
    """Make a trial's columns, but for its study, its place in the order of finish, and layers.

    Raises
    ------
    TypeError
        On a numpy scalar, which SQLite would store as bytes.
    """
    totals = replace(trial.cost, layers=())
    values: dict[str, Any] = to_jsonable(replace(trial, cost=totals))
    del values["candidate"]
    return values | {
        "blocks": str(trial.candidate),
        "cost": dumps(totals),
        "accuracy": None if trial.accuracy is None else dumps(trial.accuracy),
        "chip_hash": trial.cost.chip_hash,
        "versions": dumps(trial.versions),
        "on_chip": None if trial.on_chip is None else dumps(trial.on_chip),
        "rung_accuracies_frac": dumps(trial.rung_accuracies_frac),
    }


def trial_of(config: StudyConfig, row: sa.Row[Any]) -> Trial:
    """Read a trial from its row, its cost without layers."""
    return Trial(
        number=row.number,
        candidate=config.space.candidate(parse_blocks(row.blocks)),
        network_key=row.network_key,
        state=TrialState(row.state),
        proposal=Proposal(row.proposal),
        attempt=row.attempt,
        infeasible_proposals=row.infeasible_proposals,
        duplicate_proposals=row.duplicate_proposals,
        cost=loads(CostReport, row.cost),
        accuracy=None if row.accuracy is None else loads(AccuracyReport, row.accuracy),
        fitness=row.fitness,
        failure=row.failure,
        ask_s=row.ask_s,
        cost_s=row.cost_s,
        evaluate_s=row.evaluate_s,
        started_at=row.started_at,
        finished_at=row.finished_at,
        request_id=row.request_id,
        seed=row.seed,
        versions=loads(Versions, row.versions),
        on_chip=None if row.on_chip is None else loads(OnChipAccuracy, row.on_chip),
        rung_accuracies_frac=loads(tuple[float, ...], row.rung_accuracies_frac),
    )
