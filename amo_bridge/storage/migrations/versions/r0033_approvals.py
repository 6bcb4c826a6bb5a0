"""Approvals: messages with buttons that ask for a task's result, and the presses of these buttons."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("deal_id", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("way", sa.String(8), nullable=False),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("message", sa.String(120), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.UniqueConstraint("account", "task_id", "user_id"),
    )
    op.create_table(
        "approval_presses",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(160), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("done_at", sa.Float),
        sa.UniqueConstraint("account", "key"),
    )
