"""A trial keeps its accuracy on the chip."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column: no trial that exists was judged on a chip."""
    op.add_column("trials", sa.Column("on_chip", sa.Text))
