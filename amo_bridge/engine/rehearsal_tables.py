"""The table of rehearsals that pages asked for."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, text

Id = BigInteger().with_variant(Integer, "sqlite")
IS_OPEN = text("state IN ('asked', 'running')")


def rehearsals_table(metadata: MetaData) -> Table:
    """One row for each, the last few of an account. ``state``: asked, running, done, failed, stopped; of one account
    only one is asked or running. ``deal_id``: None for all deals. ``progress``: 0 to 1. ``deeds`` is JSON, as
    rehearsal.calendar.Deed tells them to programs; None until it is done."""
    rehearsals = Table(
        "rehearsals",
        metadata,
        Column("id", Id, primary_key=True),
        Column("account", BigInteger, nullable=False),
        Column("state", String(8), nullable=False),
        Column("days", Integer, nullable=False),
        Column("deal_id", BigInteger),
        Column("asked_at", Float, nullable=False),
        Column("asked_by", String(120), nullable=False),
        Column("ended_at", Float),
        Column("progress", Float, nullable=False),
        Column("doing", Text, nullable=False),
        Column("trouble", Text, nullable=False),
        Column("deeds", Text),
    )
    Index("rehearsals_open", rehearsals.c.account, unique=True, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)
    return rehearsals
