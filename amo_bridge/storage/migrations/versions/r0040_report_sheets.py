"""Which version of a daily report stands in the Google Sheet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    op.add_column("daily_reports", sa.Column("sheet_version", sa.Integer, nullable=False, server_default="0"))
