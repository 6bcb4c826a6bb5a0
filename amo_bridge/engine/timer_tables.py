"""The clock's tables: the rules that plan steps, and the steps they planned."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint


def schedules_table(metadata: MetaData) -> Table:
    """``since``: when the rule was first switched on (account's clock). ``digest``: of what it planned by; another one
    means that all its steps must be planned anew, and ``is_planned`` says whether that is done. ``pauses``: when it was
    off since then, as JSON; the last one has no end while it is off."""
    return Table(
        "schedules",
        metadata,
        Column("account", BigInteger, primary_key=True, autoincrement=False),
        Column("rule", String(160), primary_key=True),
        Column("since", Float, nullable=False),
        Column("digest", String(64), nullable=False),
        Column("is_planned", Integer, nullable=False),
        Column("pauses", Text, nullable=False, server_default="[]"),
    )


def timers_table(metadata: MetaData) -> Table:
    """A step and when it falls due. ``state``: open, or fired; that stays as long as the step could be
    wanted, so that it never comes again."""
    table = Table(
        "timers",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("account", BigInteger, nullable=False),
        Column("deal_id", BigInteger, nullable=False),
        Column("rule", String(160), nullable=False),
        Column("step", String(60), nullable=False),
        Column("anchor", String(120), nullable=False),
        Column("due_at", Float, nullable=False),
        # From when the step is counted.
        Column("since", Float, nullable=False),
        Column("state", String(8), nullable=False, default="open"),
        UniqueConstraint("account", "deal_id", "rule", "step", "anchor"),
    )
    is_open = table.c.state == "open"
    Index(
        "timers_open", table.c.account, table.c.due_at, table.c.id, sqlite_where=is_open, postgresql_where=is_open
    )  # fmt: skip
    return table
