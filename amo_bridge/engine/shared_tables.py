"""The tables by which several processes share one account: who leads it, and the bridge's own small values."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, MetaData, String, Table, Text


def leaders_table(metadata: MetaData) -> Table:
    """Per account: how often the lead has changed hands, and since when (Unix seconds) it is in the present ones."""
    return Table(
        "leaders",
        metadata,
        Column("account", BigInteger, primary_key=True, autoincrement=False),
        Column("epoch", BigInteger, nullable=False),
        Column("since", Float, nullable=False),
        Column("holder", String(120), nullable=False, default=""),
    )


def small_state_table(metadata: MetaData) -> Table:
    """Encrypted values under names, each section like a file of its own; used when the database is PostgreSQL."""
    return Table(
        "small_state",
        metadata,
        Column("section", String(40), primary_key=True),
        Column("name", String(255), primary_key=True),
        Column("value", Text, nullable=False),
    )
