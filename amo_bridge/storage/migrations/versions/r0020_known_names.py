"""What the config's names meant when they were resolved last: names may be changed in amoCRM, ids are not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "known_names",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("known_id", sa.String(80), nullable=False),
        sa.Column("called", sa.String(255), nullable=False),
    )
