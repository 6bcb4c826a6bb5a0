"""The ledger of violations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0005"

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "violations",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(240), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("clause", sa.String(40), nullable=False),
        sa.Column("deal_id", sa.BigInteger, nullable=False),
        sa.Column("deal_name", sa.Text, nullable=False),
        sa.Column("rule", sa.String(160), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("penalty", sa.BigInteger),
        sa.Column("currency", sa.String(8), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.UniqueConstraint("account", "key"),
    )
    op.create_index("violations_at", "violations", ["account", "at"])
    op.create_table(
        "violation_decisions",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("violation_id", sa.BigInteger, nullable=False, index=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("who", sa.String(120), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
