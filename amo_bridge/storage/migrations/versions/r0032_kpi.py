"""The indexes by which reports find the touches of some days, and the deals that were won in them."""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.create_index("touches_at", "touches", ["account", "at"])
    op.create_index("deals_changed", "deals", ["account", "status_id", "updated_at"])
