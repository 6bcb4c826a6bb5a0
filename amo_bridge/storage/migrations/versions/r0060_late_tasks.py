"""Which states of tasks stood open past their deadline, and until when: reports read these, not all of the history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0059"
SLICE = 20_000
NO_END = "1000000000000.0"
COLUMNS = "account, task_id, since, created_at, due_at, responsible_user_id, state"
# A task that was met before histories were kept begins with what is known of it.
BEGIN = f"""
INSERT INTO task_history ({COLUMNS})
SELECT account, task_id, COALESCE(CASE WHEN is_completed THEN NULLIF(completed_at, 0) END, updated_at), created_at,
    due_at, responsible_user_id, CASE WHEN is_completed THEN 'done' ELSE 'open' END
FROM tasks
WHERE NOT EXISTS (
    SELECT 1 FROM task_history AS own WHERE own.account = tasks.account AND own.task_id = tasks.task_id
)"""
OWN = "other.account = task_history.account AND other.task_id = task_history.task_id"
FIRST = f"NOT EXISTS (SELECT 1 FROM task_history AS other WHERE {OWN} AND other.id < task_history.id)"
LATER = f"FROM task_history AS other WHERE {OWN} AND other.id > task_history.id"
NEXT = f"(SELECT other.since {LATER} ORDER BY other.id LIMIT 1)"
OPEN = f"EXISTS (SELECT 1 FROM tasks AS other WHERE {OWN} AND NOT other.is_completed)"
MADE = (
    f"SELECT MAX(other.created_at) FROM task_history AS other WHERE {OWN}",
    f"SELECT other.created_at FROM tasks AS other WHERE {OWN}",
)
STEPS = (
    # When it was made was often told later than what became of it.
    *(f"created_at = COALESCE(({made}), 0) WHERE created_at = 0" for made in MADE),
    f"late_until = {NEXT} WHERE state = 'open' AND {NEXT} > due_at",
    f"late_until = {NO_END} WHERE state = 'open' AND {NEXT} IS NULL AND {OPEN}",
    f"late_until = since WHERE state <> 'open' AND since > due_at AND {FIRST}",
    f"assumed_until = since WHERE (created_at = 0 OR since - created_at > 120) AND {FIRST}",
)


def upgrade() -> None:
    op.add_column("task_history", sa.Column("late_until", sa.Float))
    op.add_column("task_history", sa.Column("assumed_until", sa.Float))
    op.execute(sa.text(BEGIN))
    last = op.get_bind().execute(sa.text("SELECT MAX(id) FROM task_history")).scalar() or 0
    for step in STEPS:
        for start in range(0, last, SLICE):
            op.execute(sa.text(f"UPDATE task_history SET {step} AND id > {start} AND id <= {start + SLICE}"))
    for name in ("late", "assumed"):
        columns = ["account", "late_until", "due_at"] if name == "late" else ["account", "assumed_until"]
        where = sa.column(columns[1]).is_not(None)
        op.create_index(f"task_history_{name}", "task_history", columns, sqlite_where=where, postgresql_where=where)
