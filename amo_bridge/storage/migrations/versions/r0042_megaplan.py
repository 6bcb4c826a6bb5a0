"""Tasks of amoCRM that are made in Megaplan."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    op.create_table(
        "megaplan_tasks",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("deal_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.Column("project", sa.String(20), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("comment_id", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.UniqueConstraint("account", "task_id"),
    )
    op.create_index("megaplan_tasks_state", "megaplan_tasks", ["account", "state"])
