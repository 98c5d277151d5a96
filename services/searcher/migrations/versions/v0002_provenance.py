"""A trial says under which request, seed, chip and versions it was trained; layers have their own table."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COLUMNS = (
    sa.Column("request_id", sa.String, nullable=False, server_default=""),
    sa.Column("seed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("chip_hash", sa.String, nullable=False, server_default=""),
    sa.Column("versions", sa.Text, nullable=False, server_default="{}"),
)
_STUDIES = sa.table("studies", *map(sa.column, ("study_id", "config")))
_FILLED = ("request_id", "seed", "chip_hash", "versions")
_TRIALS = sa.table("trials", *map(sa.column, ("study_id", "number", "cost", "accuracy", *_FILLED)))


def upgrade() -> None:
    """Add the columns; of trials that exist say what their study and their reports know. Move the layers."""
    for column in _COLUMNS:
        op.add_column("trials", column)
    connection, trials = op.get_bind(), _TRIALS.c
    studies = connection.execute(_STUDIES.select())
    seeds = {study_id: json.loads(config)["seed"] for study_id, config in studies}
    chosen = sa.select(trials.study_id, trials.number, trials.cost, trials.accuracy)
    changes = [
        {
            "study": study_id,
            "trial": number,
            "request_id": f"{study_id}-{number}",
            "seed": seeds[study_id],
            "chip_hash": json.loads(cost)["chip_hash"],
            "versions": json.dumps(
                {
                    "cost_model": json.loads(cost)["model_version"],
                    "torch": json.loads(accuracy)["torch_version"] if accuracy else "",
                }
            ),
        }
        for study_id, number, cost, accuracy in connection.execute(chosen)
    ]
    if changes:
        mine = (trials.study_id == sa.bindparam("study")) & (trials.number == sa.bindparam("trial"))
        filled = _TRIALS.update().where(mine).values({name: sa.bindparam(name) for name in _FILLED})
        connection.execute(filled, changes)
    op.create_table(
        "trial_layers",
        sa.Column("study_id", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("cost_layers", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id", "number"], ["trials.study_id", "trials.number"], ondelete="CASCADE"
        ),
    )
    op.execute("INSERT INTO trial_layers SELECT study_id, number, cost_layers FROM trials")
    op.drop_column("trials", "cost_layers")
