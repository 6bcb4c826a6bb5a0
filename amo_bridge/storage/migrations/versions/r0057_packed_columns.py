"""What is left undone about an event lies packed, and so do webhooks' bodies; older rows are read as they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"


def upgrade() -> None:
    op.add_column("journal", sa.Column("packed_skips", sa.LargeBinary))
