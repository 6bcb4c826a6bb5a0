"""Timers: steps that schedules planned, the rules that planned them, and the stages a deal was on before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rule", sa.String(160), primary_key=True),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("is_planned", sa.Integer, nullable=False),
    )
    op.create_table(
        "timers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("deal_id", sa.BigInteger, nullable=False),
        sa.Column("rule", sa.String(160), nullable=False),
        sa.Column("step", sa.String(60), nullable=False),
        sa.Column("anchor", sa.String(120), nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.UniqueConstraint("account", "deal_id", "rule", "step", "anchor"),
    )
    is_open = sa.text("state = 'open'")
    op.create_index(
        "timers_open", "timers", ["account", "due_at", "id"], sqlite_where=is_open, postgresql_where=is_open
    )
    op.add_column("deals", sa.Column("came_by", sa.Text, nullable=False, server_default="[]"))
