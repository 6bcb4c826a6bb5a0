"""Whose sale a won deal is in the daily reports: a deal handed over later changes no confirmed one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    op.create_table(
        "daily_report_sales",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("deal_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
    )
