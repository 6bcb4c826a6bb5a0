"""Decisions that no webhook began, by their source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"
LOUD = ("acts", "would_act", "retried", "undone", "failed", "held")


def upgrade() -> None:
    source: sa.ColumnClause[str | None] = sa.column("source")
    where = sa.column("verdict").in_(LOUD) & (source.is_(None) | (source != sa.literal_column("'webhook'")))
    op.create_index(
        "journal_loud_source", "journal", ["account", "source", "id"], sqlite_where=where, postgresql_where=where
    )
