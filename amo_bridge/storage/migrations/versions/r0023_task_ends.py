"""What ends a task that a rule has set, and the text it was set with. Tasks set before end as they did: not at all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("made", sa.Column("until", sa.Text))
    op.add_column("made", sa.Column("text", sa.Text))
