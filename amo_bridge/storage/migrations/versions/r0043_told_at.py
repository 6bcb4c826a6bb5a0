"""When a daily report reached its person: the time to confirm it begins then."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    op.add_column("daily_reports", sa.Column("told_at", sa.Float))
    # Of those there already nobody knows it: their time goes on from the end of the shift, as before.
    op.execute("UPDATE daily_reports SET told_at = due_at")
