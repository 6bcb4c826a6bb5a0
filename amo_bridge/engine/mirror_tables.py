"""The tables of the mirror beside the deals' own: contacts and how they are found, tasks, touches.

Times are Unix seconds (float) in UTC, as everywhere in the store. A card is named in our words: deal, contact, company.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

# Compared byte by byte, as SQLite does: keys are looked for by how they begin.
_BYTES = "C"
Id = BigInteger().with_variant(Integer, "sqlite")


def contacts_table(metadata: MetaData) -> Table:
    """What is known of a contact; ``record`` is JSON (see mirror/contacts.py)."""
    return Table(
        "contacts",
        metadata,
        Column("account", BigInteger, primary_key=True, autoincrement=False),
        Column("contact_id", BigInteger, primary_key=True, autoincrement=False),
        Column("updated_at", Float, nullable=False),
        Column("read_at", Float, nullable=False),
        Column("record", Text, nullable=False),
    )


def contact_keys_table(metadata: MetaData) -> Table:
    """By what a contact is found. ``kind``: phone (E.164), mail, surname (normalised)."""
    table = Table(
        "contact_keys",
        metadata,
        Column("account", BigInteger, primary_key=True, autoincrement=False),
        Column("kind", String(8), primary_key=True),
        Column("key", String(120).with_variant(String(120, collation=_BYTES), "postgresql"), primary_key=True),
        Column("contact_id", BigInteger, primary_key=True, autoincrement=False),
    )
    Index("contact_keys_of", table.c.account, table.c.contact_id)
    return table


def tasks_table(metadata: MetaData) -> Table:
    """Open tasks, and finished ones for some days."""
    table = Table(
        "tasks",
        metadata,
        Column("account", BigInteger, primary_key=True, autoincrement=False),
        Column("task_id", BigInteger, primary_key=True, autoincrement=False),
        Column("entity_type", String(8)),
        Column("entity_id", BigInteger),
        Column("responsible_user_id", BigInteger, nullable=False),
        Column("created_by", BigInteger, nullable=False),
        Column("task_type_id", BigInteger, nullable=False),
        Column("text", Text, nullable=False),
        Column("result", Text),
        Column("is_completed", Boolean, nullable=False),
        Column("due_at", Float, nullable=False),
        Column("created_at", Float, nullable=False),
        Column("updated_at", Float, nullable=False),
        Column("completed_at", Float),
    )
    Index("tasks_of", table.c.account, table.c.entity_type, table.c.entity_id)
    is_open = table.c.is_completed == false()
    Index("tasks_open", table.c.account, table.c.due_at, sqlite_where=is_open, postgresql_where=is_open)
    return table


def touches_table(metadata: MetaData) -> Table:
    """Who was in contact with a client, and when. ``key`` says what it was (a note, a message …), so that nothing is
    counted twice. ``direction``: in (the client's), out, or empty where there is none."""
    table = Table(
        "touches",
        metadata,
        Column("id", Id, primary_key=True),
        Column("account", BigInteger, nullable=False),
        Column("key", String(80), nullable=False),
        Column("kind", String(8), nullable=False),
        Column("direction", String(3), nullable=False),
        Column("at", Float, nullable=False),
        Column("user_id", BigInteger),
        Column("entity_type", String(8), nullable=False),
        Column("entity_id", BigInteger, nullable=False),
        Column("seconds", Integer, nullable=False, server_default=text("0")),
        UniqueConstraint("account", "key"),
    )
    Index("touches_of", table.c.account, table.c.entity_type, table.c.entity_id, table.c.at)
    return table
