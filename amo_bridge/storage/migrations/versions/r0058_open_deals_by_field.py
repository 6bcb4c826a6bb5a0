"""Open deals by the fields that are filled in on them, for fields that deals are asked for by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"


def upgrade() -> None:
    op.create_table(
        "open_deal_fields",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("field_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("deal_id", sa.BigInteger, primary_key=True, autoincrement=False),
    )
