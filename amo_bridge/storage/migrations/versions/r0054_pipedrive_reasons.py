"""Why deals were lost in Pipedrive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"


def upgrade() -> None:
    op.add_column("pipedrive_items", sa.Column("reason", sa.String(120), nullable=False, server_default=""))
