"""Indexes for what pages count: finished tasks by age, open steps, figures of services."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"


def upgrade() -> None:
    finished = sa.column("is_completed") == sa.true()
    op.create_index(
        "tasks_finished_old",
        "tasks",
        ["account", "updated_at"],
        sqlite_where=finished,
        postgresql_where=finished,
    )
    # With the deal: which steps are of deals that the mirror knows is seen in indexes alone.
    is_open = sa.column("state") == "open"
    op.drop_index("timers_open", "timers")
    op.create_index(
        "timers_open",
        "timers",
        ["account", "due_at", "id", "deal_id"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("ad_statistics_loaded", "ad_statistics", ["account", "service", "loaded_at", "day"])
