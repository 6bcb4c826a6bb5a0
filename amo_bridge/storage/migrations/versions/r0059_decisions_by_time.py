"""Decisions that came to something, by their time, with the rule: days and rules are counted in the index alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
LOUD = ("acts", "would_act", "retried", "undone", "failed", "held")


def upgrade() -> None:
    where = sa.column("verdict").in_(LOUD)
    op.create_index(
        "journal_loud_at",
        "journal",
        ["account", "verdict", "at", "rule"],
        sqlite_where=where,
        postgresql_where=where,
    )
