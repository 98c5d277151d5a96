"""Studies and their trials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "studies",
        sa.Column("study_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("trials_wanted", sa.Integer, nullable=False),
        sa.Column("failure", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("served", sa.Boolean, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("lease_until", sa.Float),
        sa.UniqueConstraint("name", name="uq_studies_name"),
    )
    op.create_table(
        "trials",
        sa.Column(
            "study_id", sa.String, sa.ForeignKey("studies.study_id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("blocks", sa.String, nullable=False),
        sa.Column("network_key", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("proposal", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("infeasible_proposals", sa.Integer, nullable=False),
        sa.Column("duplicate_proposals", sa.Integer, nullable=False),
        sa.Column("cost", sa.Text, nullable=False),
        sa.Column("cost_layers", sa.Text, nullable=False),
        sa.Column("accuracy", sa.Text),
        sa.Column("fitness", sa.Float),
        sa.Column("failure", sa.Text, nullable=False),
        sa.Column("ask_s", sa.Float, nullable=False),
        sa.Column("cost_s", sa.Float, nullable=False),
        sa.Column("evaluate_s", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("finished_at", sa.Float, nullable=False),
        sa.Column("finish_order", sa.Integer),
        sa.UniqueConstraint("study_id", "network_key", name="uq_trials_study_id_network_key"),
        sa.UniqueConstraint("study_id", "finish_order", name="uq_trials_study_id_finish_order"),
    )
