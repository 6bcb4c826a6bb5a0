"""Letters: kept before they are sent, with the service's number and what became of each; documents for clients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    # Whatever was kept until now had gone out.
    op.add_column("letters", sa.Column("state", sa.String(12), nullable=False, server_default="sent"))
    op.add_column("letters", sa.Column("vendor_id", sa.String(60), nullable=False, server_default=""))
    op.add_column("letters", sa.Column("words", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "documents",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("deal_id", sa.BigInteger, nullable=False),
        sa.Column("template", sa.String(120), nullable=False),
        sa.Column("entry", sa.String(60), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("file_uuid", sa.String(80), nullable=False),
        sa.Column("made_at", sa.Float, nullable=False),
        sa.UniqueConstraint("account", "deal_id", "template", "entry"),
    )
