"""The states a task was in: its deadlines, whose it was, when it was done. Those before are lost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "task_history",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("responsible_user_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
    )
    op.create_index("task_history_of", "task_history", ["account", "task_id"])
    op.create_index("task_history_since", "task_history", ["account", "since"])
