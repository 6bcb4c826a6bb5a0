"""What rules left undone about an event is one row of the journal; older rows, one for each rule, stay as they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"


def upgrade() -> None:
    op.add_column("journal", sa.Column("kind", sa.String(40)))
    op.add_column("journal", sa.Column("skip_count", sa.Integer))
    op.add_column("journal", sa.Column("skips", sa.Text))
    known = sa.column("kind").is_not(None)
    op.create_index("journal_kind", "journal", ["account", "kind", "id"], sqlite_where=known, postgresql_where=known)
    # Most rows are now of no rule.
    op.drop_index("journal_rule", "journal")
    ruled = sa.column("rule").is_not(None)
    op.create_index("journal_rule", "journal", ["account", "rule", "id"], sqlite_where=ruled, postgresql_where=ruled)
