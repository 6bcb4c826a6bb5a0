"""Indexes by which pages of a large store read what they show, and nothing else."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
LOUD = ("acts", "would_act", "retried", "undone", "failed", "held")


def upgrade() -> None:
    _index("journal_loud_rule", "journal", ["account", "rule", "id"], sa.column("verdict").in_(LOUD))
    _index("outbox_done", "outbox", ["account", "kind", "done_at"], _is("state", "'done'"))
    _index("outbox_unsent", "outbox", ["account", "id"], _is("state", "'unsent'"))
    _index("tasks_finished", "tasks", ["account", "completed_at"], sa.column("is_completed") == sa.true())
    op.create_index("enquiries_kind", "enquiries", ["account", "kind", "id"])
    op.create_index("dials_ended", "dials", ["account", "ended_at"])
    op.create_index("stored_files_of", "stored_files", ["account", "deal_id", "id"])


def _is(column: str, value: str) -> Any:
    return sa.column(column) == sa.literal_column(value)


def _index(name: str, table: str, columns: list[str], where: Any) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
