"""Contacts that are found by phone, mail and surname; tasks; touches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _contacts()
    _tasks()
    _touches()


def _account() -> sa.Column[int]:
    return sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False)


def _contacts() -> None:
    op.create_table(
        "contacts",
        _account(),
        sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("read_at", sa.Float, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    key = sa.String(120).with_variant(sa.String(120, collation="C"), "postgresql")
    op.create_table(
        "contact_keys",
        _account(),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("key", key, primary_key=True),
        sa.Column("contact_id", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    op.create_index("contact_keys_of", "contact_keys", ["account", "contact_id"])


def _tasks() -> None:
    op.create_table(
        "tasks",
        _account(),
        sa.Column("task_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entity_type", sa.String(8)),
        sa.Column("entity_id", sa.BigInteger),
        sa.Column("responsible_user_id", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.BigInteger, nullable=False),
        sa.Column("task_type_id", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("is_completed", sa.Boolean, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("completed_at", sa.Float),
    )
    op.create_index("tasks_of", "tasks", ["account", "entity_type", "entity_id"])
    is_open = sa.column("is_completed") == sa.false()
    op.create_index("tasks_open", "tasks", ["account", "due_at"], sqlite_where=is_open, postgresql_where=is_open)


def _touches() -> None:
    op.create_table(
        "touches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("direction", sa.String(3), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("user_id", sa.BigInteger),
        sa.Column("entity_type", sa.String(8), nullable=False),
        sa.Column("entity_id", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.UniqueConstraint("account", "key"),
    )
    op.create_index("touches_of", "touches", ["account", "entity_type", "entity_id", "at"])
