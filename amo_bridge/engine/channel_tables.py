"""What the channels remember: letters that went out, addresses that want no more of them, series that are running.

Addresses are kept as digests only (``channels/mail/address.py``): enough to know one again. Times are Unix seconds.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

Id = BigInteger().with_variant(Integer, "sqlite")


def letters_table(metadata: MetaData) -> Table:
    """Letters to clients that are out. ``thread``: those of one deal and thread answer each other. ``token``: what the
    link for unsubscribing holds; None for letters without one."""
    letters = Table(
        "letters",
        metadata,
        Column("id", Id, primary_key=True),
        Column("account", BigInteger, nullable=False),
        Column("outbox_id", BigInteger, nullable=False),
        Column("deal_id", BigInteger, nullable=False),
        Column("contact_id", BigInteger, nullable=False),
        Column("address_key", String(64), nullable=False),
        Column("template", Text, nullable=False),
        Column("thread", String(120), nullable=False),
        Column("message_id", String(250), nullable=False),
        Column("token", String(24)),
        Column("sent_at", Float, nullable=False),
        UniqueConstraint("account", "outbox_id"),
        UniqueConstraint("token"),
    )
    Index("letters_thread", letters.c.account, letters.c.deal_id, letters.c.thread, letters.c.id)
    return letters


def suppressed_table(metadata: MetaData) -> Table:
    """Addresses that get no letters: ``reason`` is "unsubscribed" (no advertising) or "refused" (nothing at all: the
    server says that there is nobody); ``words``: the vendor's own."""
    return Table(
        "suppressed",
        metadata,
        Column("account", BigInteger, primary_key=True, autoincrement=False),
        Column("address_key", String(64), primary_key=True),
        Column("reason", String(12), nullable=False),
        Column("words", Text, nullable=False),
        Column("at", Float, nullable=False),
    )


def series_table(metadata: MetaData) -> Table:
    """Series of letters, one row for each start. The stage is the one on which it was started. ``next_number``: the
    letter that is due at ``next_at``, from 0. ``state``: open or ended."""
    series = Table(
        "series",
        metadata,
        Column("id", Id, primary_key=True),
        Column("account", BigInteger, nullable=False),
        Column("outbox_id", BigInteger, nullable=False),
        Column("deal_id", BigInteger, nullable=False),
        Column("name", String(120), nullable=False),
        Column("pipeline_id", BigInteger, nullable=False),
        Column("status_id", BigInteger, nullable=False),
        Column("started_at", Float, nullable=False),
        Column("next_number", Integer, nullable=False),
        Column("next_at", Float, nullable=False),
        Column("state", String(8), nullable=False),
        Column("because", Text, nullable=False),
        UniqueConstraint("account", "outbox_id"),
    )
    is_open = series.c.state == "open"
    Index("series_open", series.c.account, series.c.next_at, sqlite_where=is_open, postgresql_where=is_open)
    Index("series_of", series.c.account, series.c.deal_id)
    return series
