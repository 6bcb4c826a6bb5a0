"""An index of calls of auto-dial by which their dial has not gone on. Calls that were forgotten among them are judged:
those that go on again after a late webhook, and the last one of a dial that waits in vain for a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

JUDGE_AGAIN = "UPDATE dial_calls SET is_applied = false WHERE is_applied = true AND "
GOES_ON = "state IN ('asking', 'placed', 'doubt')"
LAST_OF_UNDECIDED = """state <> 'unknown' AND id IN (
    SELECT max(calls.id) FROM dial_calls AS calls JOIN dials ON dials.id = calls.dial_id
    WHERE dials.state = 'undecided' GROUP BY calls.dial_id
)"""


def upgrade() -> None:
    op.execute(JUDGE_AGAIN + GOES_ON)
    op.execute(JUDGE_AGAIN + LAST_OF_UNDECIDED)
    is_open = sa.column("is_applied") == sa.false()
    op.create_index("dial_calls_open", "dial_calls", ["account", "id"], sqlite_where=is_open, postgresql_where=is_open)
