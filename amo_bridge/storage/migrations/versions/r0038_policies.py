"""Rules of working in the CRM with their versions, and who has acknowledged which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(160), nullable=False),
        sa.Column("title", sa.String(160), nullable=False),
        sa.Column("is_file", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("withdrawn_at", sa.Float),
        sa.UniqueConstraint("account", "name"),
    )
    op.create_table(
        "policy_versions",
        sa.Column("policy_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("who", sa.String(160), nullable=False),
        sa.Column("title", sa.String(160), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "acknowledgements",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("policy_id", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("asked_at", sa.Float, nullable=False),
        sa.Column("remind_at", sa.Float, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("reminded_at", sa.Float),
        sa.Column("escalated_at", sa.Float),
        sa.Column("read_at", sa.Float),
        sa.Column("read_by", sa.String(160), nullable=False),
        sa.UniqueConstraint("policy_id", "version", "user_id"),
    )
    op.create_index("acknowledgements_open", "acknowledgements", ["account", "read_at"])
