"""When deals were won or lost, and what stands in tables that people read: one way for all tables and sheets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
WON, LOST = 142, 143


def upgrade() -> None:
    op.add_column("deals", sa.Column("closed_at", sa.Float))
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    told = "CAST(record AS json) ->> 'closed_at'" if is_postgresql else "json_extract(record, '$.closed_at')"
    closed = f"UPDATE deals SET closed_at = CAST({told} AS FLOAT) WHERE status_id IN ({WON}, {LOST})"
    # A record that is no JSON is read again as any other one, with the deal's next change.
    closed += " AND record LIKE '{%'"
    op.execute(sa.text(closed))
    op.create_index("deals_closed", "deals", ["account", "status_id", "closed_at"])
    op.add_column("kpi_days", sa.Column("edition", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "sheet_writes",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sheet", sa.String(40), primary_key=True),
        sa.Column("item", sa.String(20), primary_key=True),
        sa.Column("edition", sa.Integer, nullable=False),
    )
    into = "INSERT INTO sheet_writes (account, sheet, item, edition)"
    days = f"{into} SELECT account, 'google_sheets_kpi', day, 0 FROM kpi_days WHERE is_in_sheet = true"
    reports = (
        f"{into} SELECT account, 'google_sheets', CAST(id AS VARCHAR), sheet_version FROM daily_reports"
        " WHERE sheet_version > 0"
    )
    op.execute(sa.text(days))
    op.execute(sa.text(reports))
