"""Advertising audiences: who holds whom in, clients and their states, uploads, what services have, sizes by day; and
the index by which Roistat gets deals that have changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    _holds()
    _members()
    _uploads()
    _lists()
    op.create_index("deals_read", "deals", ["account", "read_at", "deal_id"])


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False)


def _number(name: str, *, is_key: bool = False) -> sa.Column[int]:
    if is_key:
        return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)
    return sa.Column(name, sa.BigInteger, nullable=False)


def _name(*, is_key: bool = False) -> sa.Column[str]:
    return sa.Column("audience", sa.String(120), primary_key=is_key, nullable=False)


def _time(name: str, *, is_needed: bool = True) -> sa.Column[float]:
    return sa.Column(name, sa.Float, nullable=not is_needed)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _holds() -> None:
    op.create_table(
        "audience_holds",
        _number("account", is_key=True),
        _name(is_key=True),
        _number("deal_id", is_key=True),
        _number("contact_id"),
        _text("rule", 160),
        sa.Column("event_id", sa.BigInteger),
        _time("since"),
        _time("ended_at", is_needed=False),
        _text("why"),
        _time("seen_at"),
        _flag("is_noted"),
    )
    op.create_index("audience_holds_of", "audience_holds", ["account", "contact_id", "audience"])
    op.create_index("audience_holds_deal", "audience_holds", ["account", "deal_id"])


def _members() -> None:
    op.create_table(
        "audience_members",
        sa.Column("id", Id, primary_key=True),
        _number("account"),
        _name(),
        _number("contact_id"),
        _text("state", 8),
        _time("since"),
        _text("words"),
        _text("digests"),
        _text("sent_digests"),
        _flag("is_urgent"),
        _time("checked_at"),
        _time("seen_at"),
        sa.Column("upload_id", sa.BigInteger),
        sa.UniqueConstraint("account", "audience", "contact_id"),
    )
    op.create_index("audience_members_state", "audience_members", ["account", "audience", "state"])
    op.create_index("audience_members_contact", "audience_members", ["account", "contact_id"])
    # By which whoever unsubscribed is found among them.
    op.create_index("letters_contact", "letters", ["account", "contact_id"])
    unchecked = sa.text("checked_at = 0")
    op.create_index(
        "audience_members_unchecked",
        "audience_members",
        ["account"],
        sqlite_where=unchecked,
        postgresql_where=unchecked,
    )
    is_in = sa.column("upload_id").is_not(None)
    op.create_index(
        "audience_members_upload",
        "audience_members",
        ["account", "upload_id"],
        sqlite_where=is_in,
        postgresql_where=is_in,
    )


def _uploads() -> None:
    op.create_table(
        "audience_uploads",
        sa.Column("id", Id, primary_key=True),
        _number("account"),
        _name(),
        _text("service", 8),
        _text("kind", 8),
        _text("state", 10),
        _text("ref", 80),
        sa.Column("joined", sa.Integer, nullable=False),
        sa.Column("left", sa.Integer, nullable=False),
        _time("asked_at"),
        _time("look_at", is_needed=False),
        sa.Column("looks", sa.Integer, nullable=False),
        _text("words"),
        _time("ended_at", is_needed=False),
    )
    op.create_index("audience_uploads_of", "audience_uploads", ["account", "audience", "id"])
    is_open = sa.text("state IN ('asking', 'doubt', 'processing')")
    op.create_index(
        "audience_uploads_open",
        "audience_uploads",
        ["account", "audience"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def _lists() -> None:
    op.create_table(
        "audience_lists",
        _number("account", is_key=True),
        _name(is_key=True),
        _text("service", 8),
        _text("list_ref", 80),
        _text("segment_ref", 80),
        _text("words"),
        _text("trouble"),
        _time("trouble_at", is_needed=False),
        _time("retry_at", is_needed=False),
        sa.Column("failures", sa.Integer, nullable=False),
        _text("format", 8),
        _time("segment_at", is_needed=False),
    )
    op.create_table(
        "audience_sizes",
        _number("account", is_key=True),
        _name(is_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("waiting", sa.Integer, nullable=False),
    )
