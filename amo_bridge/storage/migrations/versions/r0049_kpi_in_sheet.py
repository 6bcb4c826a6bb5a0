"""Which days of KPI stand in a table that people read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    op.add_column("kpi_days", sa.Column("is_in_sheet", sa.Boolean, nullable=False, server_default=sa.false()))
