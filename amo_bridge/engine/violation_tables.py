"""The ledger's tables: who broke which clause of the regulation, and what people decided about it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

Id = BigInteger().with_variant(Integer, "sqlite")


def violations_table(metadata: MetaData) -> Table:
    """One row for each violation, for ever: nobody's pay is corrected by deleting. ``key``: the effect's own, so that
    it is recorded once. Names are kept as they were then. ``penalty``: whole units of ``currency``; None when the rule
    names no sum. ``state``: "counts" or "forgiven"."""
    violations = Table(
        "violations",
        metadata,
        Column("id", Id, primary_key=True),
        Column("account", BigInteger, nullable=False),
        Column("key", String(240), nullable=False),
        Column("at", Float, nullable=False),
        Column("user_id", BigInteger, nullable=False),
        Column("person", Text, nullable=False),
        Column("clause", String(40), nullable=False),
        Column("deal_id", BigInteger, nullable=False),
        Column("deal_name", Text, nullable=False),
        Column("rule", String(160), nullable=False),
        Column("why", Text, nullable=False),
        Column("penalty", BigInteger),
        Column("currency", String(8), nullable=False),
        Column("state", String(10), nullable=False),
        UniqueConstraint("account", "key"),
    )
    Index("violations_at", violations.c.account, violations.c.at)
    return violations


def violation_decisions_table(metadata: MetaData) -> Table:
    """What people decided about a violation, one row for each decision: ``state`` is what it became by it."""
    return Table(
        "violation_decisions",
        metadata,
        Column("id", Id, primary_key=True),
        Column("account", BigInteger, nullable=False),
        Column("violation_id", BigInteger, nullable=False, index=True),
        Column("at", Float, nullable=False),
        Column("who", String(120), nullable=False),
        Column("state", String(10), nullable=False),
        Column("why", Text, nullable=False),
    )
