"""The tables of webinar imports: an import, its people, and columns that somebody has named.

``step`` of a row is what is to be done next (imports/steps.py), ``state`` how far that is: as in the outbox,
``sending`` is committed before a request leaves, and whoever finds it there later looks in amoCRM first.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

Id = BigInteger().with_variant(Integer, "sqlite")
OPEN = ("ready", "sending", "doubt")


def imports_table(metadata: MetaData) -> Table:
    """One webinar's upload. ``files`` is JSON: name, digest, kind and remarks of each."""
    return Table(
        "imports",
        metadata,
        Column("id", Id, primary_key=True),
        Column("account", BigInteger, nullable=False, index=True),
        Column("state", String(12), nullable=False),
        Column("held_on", String(10), nullable=False),
        Column("title", Text, nullable=False, default=""),
        Column("files", Text, nullable=False),
        Column("made_at", Float, nullable=False),
        Column("made_by", String(120), nullable=False, default=""),
        Column("started_at", Float),
        Column("finished_at", Float),
        Column("trouble", Text, nullable=False, default=""),
    )


def import_rows_table(metadata: MetaData) -> Table:
    """One person of an import. ``person``, ``said`` (a person's override), ``planned``, ``before`` and
    ``contact_was`` (what the deal and the contact were, for the undo) are JSON."""
    table = Table(
        "import_rows",
        metadata,
        Column("id", Id, primary_key=True),
        Column("account", BigInteger, nullable=False),
        Column("import_id", BigInteger, nullable=False),
        Column("number", Integer, nullable=False),
        Column("person_key", String(32), nullable=False),
        Column("person", Text, nullable=False),
        Column("said", Text, nullable=False, default="{}"),
        Column("standing", String(12), nullable=False),
        Column("what", String(16), nullable=False),
        Column("interest", String(8), nullable=False),
        Column("planned", Text, nullable=False),
        Column("contact_id", BigInteger),
        Column("deal_id", BigInteger),
        Column("made_contact", Integer, nullable=False, default=0),
        Column("step", String(8), nullable=False, default=""),
        Column("state", String(8), nullable=False, default="planned"),
        Column("attempts", Integer, nullable=False, default=0),
        Column("due_at", Float, nullable=False, default=0.0),
        Column("before", Text),
        Column("note", Text, nullable=False, default=""),
        Column("contact_was", Text),
        UniqueConstraint("import_id", "person_key"),
    )
    Index("import_rows_step", table.c.import_id, table.c.step, table.c.state)
    Index("import_rows_person", table.c.account, table.c.person_key)
    return table


def import_columns_table(metadata: MetaData) -> Table:
    """Which column means what in tables of this kind (see webinars/columns.signature)."""
    return Table(
        "import_columns",
        metadata,
        Column("account", BigInteger, primary_key=True, autoincrement=False),
        Column("signature", String(32), primary_key=True),
        Column("columns", Text, nullable=False),
    )
