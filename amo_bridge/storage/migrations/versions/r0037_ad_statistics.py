"""Advertising statistics by campaign and day, and who looked at which day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    op.create_table(
        "ad_statistics",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("service", sa.String(12), nullable=False),
        sa.Column("folded", sa.String(255), nullable=False),
        sa.Column("placement", sa.String(80), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("campaign", sa.Text, nullable=False),
        sa.Column("shows", sa.BigInteger, nullable=False),
        sa.Column("clicks", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("leads", sa.BigInteger),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("loaded_at", sa.Float, nullable=False),
        sa.UniqueConstraint("account", "day", "service", "folded", "placement", "currency"),
    )
    op.create_index("ad_statistics_campaign", "ad_statistics", ["account", "folded", "day"])
    op.create_table(
        "ad_checks",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("folded", sa.String(255), nullable=False),
        sa.Column("who", sa.String(120), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.UniqueConstraint("account", "day", "folded"),
    )
