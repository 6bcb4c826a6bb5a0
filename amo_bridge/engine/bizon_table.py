"""The table of reports that Bizon365 has told of."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, String, Table, Text

LONGEST_ID = 200


def bizon_reports_table(metadata: MetaData) -> Table:
    """``state``: waiting, taken or failed. ``imports``: JSON, the numbers of the imports made of it."""
    return Table(
        "bizon_reports",
        metadata,
        Column("account", BigInteger, primary_key=True, autoincrement=False),
        Column("webinar_id", String(LONGEST_ID), primary_key=True),
        Column("state", String(8), nullable=False),
        Column("heard_at", Float, nullable=False),
        Column("attempts", Integer, nullable=False, default=0),
        Column("due_at", Float, nullable=False, default=0.0),
        Column("trouble", Text, nullable=False, default=""),
        Column("imports", Text, nullable=False, default="[]"),
    )
