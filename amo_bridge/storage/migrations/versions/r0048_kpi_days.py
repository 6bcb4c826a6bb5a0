"""What people did on days that are over: counted once, kept when the touches are forgotten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    op.create_table(
        "kpi_days",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("ends_at", sa.Float, nullable=False),
        sa.Column("way", sa.String(120), nullable=False),
        sa.Column("counted_at", sa.Float, nullable=False),
        sa.Column("is_stale", sa.Boolean, nullable=False),
        sa.Column("changed_at", sa.Float),
    )
    op.create_table(
        "kpi_figures",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("contacts", sa.Integer, nullable=False),
        sa.Column("worked", sa.Integer, nullable=False),
        sa.Column("talks", sa.Integer, nullable=False),
        sa.Column("unanswered", sa.Integer, nullable=False),
        sa.Column("letters", sa.Integer, nullable=False),
        sa.Column("tasks", sa.Integer, nullable=False),
        sa.Column("first_at", sa.Float),
    )
