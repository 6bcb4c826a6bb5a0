"""When rules by the clock were off: what came meanwhile was there before them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("schedules", sa.Column("pauses", sa.Text, nullable=False, server_default="[]"))
    # Since when a rule has been off was not noted. Rather too much is taken for old than too little.
    op.execute("UPDATE schedules SET pauses = '[[' || since || ', null]]' WHERE digest = ''")
