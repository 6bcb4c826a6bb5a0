"""Facts about deals, and what the pay sheet keeps: closed months, their lines, corrections, comments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    op.create_table(
        "deal_facts",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("deal_id", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("was", sa.String(255), nullable=False),
        sa.Column("now", sa.String(255), nullable=False),
        sa.Column("number", sa.Float),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("user_id", sa.BigInteger),
        sa.Column("source", sa.String(8), nullable=False),
        sa.UniqueConstraint("account", "deal_id", "key"),
    )
    op.create_index("deal_facts_at", "deal_facts", ["account", "what", "at"])
    op.create_index("deal_facts_number", "deal_facts", ["account", "what", "number"])
    op.create_table(
        "pay_months",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("currency", sa.String(8), nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("closed_at", sa.Float, nullable=False),
        sa.Column("closed_by", sa.String(120), nullable=False),
        sa.Column("reopened_at", sa.Float),
        sa.Column("reopened_by", sa.String(120), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_index(
        "pay_months_closed",
        "pay_months",
        ["account", "month"],
        unique=True,
        sqlite_where=sa.text("reopened_at IS NULL"),
        postgresql_where=sa.text("reopened_at IS NULL"),
    )
    op.create_table(
        "pay_lines",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("pay_month_id", sa.BigInteger, nullable=False, index=True),
        sa.Column("key", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("deal_id", sa.BigInteger),
        sa.Column("deal_name", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
    )
    op.create_table(
        "pay_corrections",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("deal_id", sa.BigInteger),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("who", sa.String(120), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("pay_corrections_month", "pay_corrections", ["account", "month"])
    op.create_table(
        "pay_comments",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("line_key", sa.String(120), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("who", sa.String(120), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_index("pay_comments_month", "pay_comments", ["account", "month"])
