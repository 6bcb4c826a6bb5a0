"""Letters, unsubscribed addresses, series; what was perhaps sent waits for a person like what has failed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"


def upgrade() -> None:
    op.drop_index("outbox_failed", "outbox")
    given_up = sa.column("state").in_(["failed", "unknown"])
    op.create_index("outbox_failed", "outbox", ["account", "id"], sqlite_where=given_up, postgresql_where=given_up)
    _letters()
    _suppressed()
    _series()


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False)


def _time(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float, nullable=False)


def _letters() -> None:
    op.create_table(
        "letters",
        _id(),
        *(_number(name) for name in ("account", "outbox_id", "deal_id", "contact_id")),
        _text("address_key", 64),
        _text("template"),
        _text("thread", 120),
        _text("message_id", 250),
        sa.Column("token", sa.String(24)),
        _time("sent_at"),
        sa.UniqueConstraint("account", "outbox_id"),
        sa.UniqueConstraint("token"),
    )
    op.create_index("letters_thread", "letters", ["account", "deal_id", "thread", "id"])


def _suppressed() -> None:
    op.create_table(
        "suppressed",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("address_key", sa.String(64), primary_key=True),
        _text("reason", 12),
        _text("words"),
        _time("at"),
    )


def _series() -> None:
    op.create_table(
        "series",
        _id(),
        *(_number(name) for name in ("account", "outbox_id", "deal_id")),
        _text("name", 120),
        *(_number(name) for name in ("pipeline_id", "status_id")),
        _time("started_at"),
        sa.Column("next_number", sa.Integer, nullable=False),
        _time("next_at"),
        _text("state", 8),
        _text("because"),
        sa.UniqueConstraint("account", "outbox_id"),
    )
    is_open = sa.column("state") == "open"
    op.create_index("series_open", "series", ["account", "next_at"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index("series_of", "series", ["account", "deal_id"])
