"""When each person began his shift, by what he did or by his confirmation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0053"
down_revision = "0052"


def upgrade() -> None:
    op.create_table(
        "shift_starts",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("asked_at", sa.Float, nullable=False),
        sa.Column("begun_at", sa.Float),
        sa.Column("begun_by", sa.String(160), nullable=False),
        sa.Column("reminded_at", sa.Float),
        sa.Column("escalated_at", sa.Float),
        sa.UniqueConstraint("account", "day", "user_id"),
    )
