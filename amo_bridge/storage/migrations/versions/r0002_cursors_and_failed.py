"""Cursors for what is read in portions; failed work is counted without reading all that is done; keys are looked for by
how they begin."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Stores of the days before revisions may have it already: create_all made it.
    if not sa.inspect(op.get_bind()).has_table("cursors"):
        op.create_table(
            "cursors",
            sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("name", sa.String(40), primary_key=True),
            sa.Column("value", sa.Float, nullable=False),
        )
    _partial_index("events_failed", "events")
    _partial_index("outbox_failed", "outbox")
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("events", "key", type_=sa.String(80, collation="C"))


def _partial_index(name: str, table: str) -> None:
    failed = sa.text("state = 'failed'")
    op.create_index(name, table, ["account", "id"], sqlite_where=failed, postgresql_where=failed)
