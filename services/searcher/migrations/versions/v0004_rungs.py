"""A trial keeps its accuracy after each rung."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column: trials that exist were trained to their ends."""
    column = sa.Column("rung_accuracies_frac", sa.Text, nullable=False, server_default="[]")
    op.add_column("trials", column)
