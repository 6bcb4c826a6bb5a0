"""What looked odd about an import's files; the headings that a person's answer about columns is for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("imports", sa.Column("doubts", sa.Text, nullable=False, server_default="[]"))
    op.add_column("import_columns", sa.Column("titles", sa.Text, nullable=False, server_default="[]"))
