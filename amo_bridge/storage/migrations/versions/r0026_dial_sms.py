"""Auto-dials and their calls, SMS that are out, and how each vendor of channels is doing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    _dials()
    _dial_calls()
    _sms()
    _channel_states()


def _id() -> sa.Column[int]:
    return sa.Column("id", Id, primary_key=True)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False)


def _time(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float, nullable=False)


def _dials() -> None:
    op.create_table(
        "dials",
        _id(),
        _number("account"),
        _number("outbox_id"),
        _text("key", 240),
        sa.Column("event_id", sa.BigInteger),
        _text("rule", 160),
        *(_number(name) for name in ("deal_id", "pipeline_id", "status_id")),
        _time("started_at"),
        _text("state", 10),
        _time("next_at"),
        _text("why"),
        sa.Column("user_id", sa.BigInteger),
        _count("manager_misses"),
        _count("client_misses"),
        _text("day", 10),
        _count("day_calls"),
        _time("silent_until"),
        sa.Column("ended_at", sa.Float),
        sa.UniqueConstraint("account", "outbox_id"),
    )
    is_open = sa.column("state") != "ended"
    op.create_index("dials_open", "dials", ["account", "next_at"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index("dials_of", "dials", ["account", "deal_id"])


def _dial_calls() -> None:
    op.create_table(
        "dial_calls",
        _id(),
        *(_number(name) for name in ("account", "dial_id", "deal_id")),
        _text("ref", 40),
        _text("vendor", 12),
        _text("vendor_ref", 80),
        _number("user_id"),
        _text("extension", 20),
        _text("phone", 20),
        _time("asked_at"),
        _text("state", 10),
        _count("looks"),
        sa.Column("look_at", sa.Float),
        _count("seconds"),
        _text("words"),
        _text("told_by", 10),
        sa.Column("settled_at", sa.Float),
        sa.Column("is_applied", sa.Boolean, nullable=False),
        sa.UniqueConstraint("account", "ref"),
    )
    op.create_index("dial_calls_of", "dial_calls", ["account", "dial_id", "id"])
    op.create_index("dial_calls_asked", "dial_calls", ["account", "asked_at"])


def _sms() -> None:
    op.create_table(
        "sms",
        _id(),
        *(_number(name) for name in ("account", "outbox_id", "deal_id", "contact_id")),
        _text("vendor", 12),
        _text("vendor_id", 40),
        _text("phone", 20),
        _count("parts"),
        sa.Column("cost", sa.Float),
        _time("sent_at"),
        _text("state", 10),
        _text("words"),
        _count("looks"),
        sa.Column("look_at", sa.Float),
        sa.UniqueConstraint("account", "outbox_id"),
    )
    op.create_index("sms_vendor", "sms", ["account", "vendor", "vendor_id"])
    is_open = sa.column("state") == "sent"
    op.create_index("sms_open", "sms", ["account", "look_at"], sqlite_where=is_open, postgresql_where=is_open)


def _channel_states() -> None:
    op.create_table(
        "channel_states",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("vendor", sa.String(24), primary_key=True),
        _time("since"),
        sa.Column("balance", sa.Float),
        sa.Column("balance_at", sa.Float),
    )
