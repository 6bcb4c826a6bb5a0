"""Reports that Bizon365 has told of, until they are fetched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "bizon_reports",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("webinar_id", sa.String(200), primary_key=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("heard_at", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("trouble", sa.Text, nullable=False),
        sa.Column("imports", sa.Text, nullable=False),
    )
