"""Pipedrive: finished activities and won deals of its users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    op.create_table(
        "pipedrive_items",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("item", sa.String(12), nullable=False),
        sa.Column("item_id", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Float),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("client", sa.String(40), nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.UniqueConstraint("account", "item", "item_id"),
    )
    op.create_index("pipedrive_items_at", "pipedrive_items", ["account", "at"])
    op.create_table(
        "pipedrive_users",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("mail", sa.String(200), nullable=False),
        sa.UniqueConstraint("account", "user_id"),
    )
