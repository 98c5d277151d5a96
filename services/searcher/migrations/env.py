"""What alembic runs: the migrations, in the transaction of whoever called."""

from __future__ import annotations

from alembic import context

from services.searcher.migrations import VERSION_TABLE
from services.searcher.rows import TABLES

# Tables beside ours in the same database are not for a draft to drop.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=TABLES,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters most things only by making the table anew
    include_name=lambda name, kind, _: kind != "table" or name in TABLES.tables,
)
with context.begin_transaction():
    context.run_migrations()
