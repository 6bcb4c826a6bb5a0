"""The table of what a look for missed changes has found and has not handed on yet."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Table, Text


def found_table(metadata: MetaData) -> Table:
    """``body``: the event, JSON. ``at``: when it happened (account's clock). Lists are read newest first, so of two
    events of one second the row that came later tells of what was earlier."""
    table = Table(
        "found",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("account", BigInteger, nullable=False),
        Column("at", Float, nullable=False),
        Column("body", Text, nullable=False),
    )
    Index("found_at", table.c.account, table.c.at)
    return table
