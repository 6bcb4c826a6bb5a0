"""Daily reports with their versions, and messages to colleagues with a button."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0036"
down_revision = "0035"
OPEN = sa.text("state IN ('asking', 'asked')")


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "staff_messages",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("subject", sa.String(8), nullable=False),
        *_numbers("number", "version", "user_id", "chat_id"),
        sa.Column("way", sa.String(8), nullable=False),
        sa.Column("message", sa.String(120), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.UniqueConstraint("account", "subject", "number"),
    )
    op.create_index(
        "staff_messages_open", "staff_messages", ["account", "subject"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_table(
        "daily_reports",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        *_numbers("amount", "sales", "talks"),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("confirmed_at", sa.Float),
        sa.Column("confirmed_by", sa.String(160), nullable=False),
        sa.Column("shown_version", sa.Integer, nullable=False),
        sa.Column("reminded_at", sa.Float),
        sa.Column("escalated_at", sa.Float),
        sa.UniqueConstraint("account", "day", "user_id"),
    )
    op.create_index("daily_reports_open", "daily_reports", ["account", "confirmed_at", "due_at"])
    op.create_table(
        "daily_report_versions",
        sa.Column("report_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("who", sa.String(160), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        *_numbers("amount", "sales", "talks"),
        sa.Column("plan", sa.Text, nullable=False),
    )
