"""Indexes for what pages ask by name: who and what stands in the ledger, which effects were dropped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"


def upgrade() -> None:
    op.create_index("violations_person", "violations", ["account", "person"])
    op.create_index("violations_clause", "violations", ["account", "clause"])
    was_dropped = sa.column("state") == "dropped"
    op.create_index(
        "outbox_dropped",
        "outbox",
        ["account", "id"],
        sqlite_where=was_dropped,
        postgresql_where=was_dropped,
    )
