"""Acknowledgements that are set aside, and asked for again with a term of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    op.add_column("acknowledgements", sa.Column("term", sa.Integer, nullable=False, server_default="1"))
    op.add_column("acknowledgements", sa.Column("set_aside_at", sa.Float))
