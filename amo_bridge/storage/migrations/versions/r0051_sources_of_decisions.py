"""What made a rule be asked, beside what it decided. Of older rows nobody knows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    op.add_column("journal", sa.Column("source", sa.String(14)))
