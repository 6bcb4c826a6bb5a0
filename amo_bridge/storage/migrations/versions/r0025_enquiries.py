"""Enquiries: what vendors' requests say, and what became of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "enquiries",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("source", sa.String(24), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("request_id", sa.BigInteger),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("standing", sa.String(8), nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("event_key", sa.String(80)),
        sa.Column("contact_id", sa.BigInteger),
        sa.Column("deal_id", sa.BigInteger),
        sa.Column("done_at", sa.Float),
        sa.UniqueConstraint("account", "source", "key"),
    )
    is_open = sa.text("state IN ('new', 'sent', 'waits')")
    op.create_index("enquiries_open", "enquiries", ["account", "id"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index("enquiries_at", "enquiries", ["account", "received_at"])
    op.create_index("enquiries_deal", "enquiries", ["account", "deal_id"])
    op.create_table(
        "enquiry_addresses",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("address", sa.String(160), primary_key=True),
        sa.Column("enquiry_id", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    op.create_index("enquiry_addresses_of", "enquiry_addresses", ["account", "enquiry_id"])
