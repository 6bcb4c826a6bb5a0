"""Rehearsals that pages asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
IS_OPEN = sa.text("state IN ('asked', 'running')")


def upgrade() -> None:
    op.create_table(
        "rehearsals",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("days", sa.Integer, nullable=False),
        sa.Column("deal_id", sa.BigInteger),
        sa.Column("asked_at", sa.Float, nullable=False),
        sa.Column("asked_by", sa.String(120), nullable=False),
        sa.Column("ended_at", sa.Float),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("doing", sa.Text, nullable=False),
        sa.Column("trouble", sa.Text, nullable=False),
        sa.Column("deeds", sa.Text),
    )
    op.create_index(
        "rehearsals_open", "rehearsals", ["account"], unique=True, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN
    )
