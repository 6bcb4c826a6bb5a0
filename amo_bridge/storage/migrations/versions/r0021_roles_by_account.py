"""Roles of users and programs that count in some accounts of an installation only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    for table in ("users", "api_tokens"):
        op.add_column(table, sa.Column("accounts", sa.Text))
