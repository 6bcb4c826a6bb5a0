"""Letters: kept before they are sent, with the service's number of each and what became of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    # Whatever was kept until now had gone out.
    op.add_column("letters", sa.Column("state", sa.String(12), nullable=False, server_default="sent"))
    op.add_column("letters", sa.Column("vendor_id", sa.String(60), nullable=False, server_default=""))
    op.add_column("letters", sa.Column("words", sa.Text, nullable=False, server_default=""))
