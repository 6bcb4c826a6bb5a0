"""What tells of a call in the touches whether they talked; events that rules wait with until the deal fits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("touches", sa.Column("status", sa.Integer))
    op.add_column("touches", sa.Column("phone", sa.String(40)))
    op.add_column("touches", sa.Column("uniq", sa.String(80)))
    op.add_column("touches", sa.Column("result", sa.String(80)))
    op.create_table(
        "waiting_events",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("deal_id", sa.BigInteger, nullable=False),
        sa.Column("rule", sa.String(160), nullable=False),
        sa.Column("subject", sa.String(120), nullable=False),
        sa.Column("event_key", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("pipeline_id", sa.BigInteger, nullable=False),
        sa.Column("status_id", sa.BigInteger, nullable=False),
        sa.Column("done_slots", sa.Text),
        sa.Column("at", sa.Float, nullable=False),
        sa.UniqueConstraint("account", "deal_id", "rule", "subject"),
    )
