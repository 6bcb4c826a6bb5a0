"""The tables behind the pages: who may come in, who is in, links that let in once, and who changed what.

They belong to the installation, not to an account.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

# SQLite numbers rows by itself only for INTEGER; PostgreSQL needs the wider type.
Id = BigInteger().with_variant(Integer, "sqlite")


class Admission(NamedTuple):
    """See each table's maker."""

    users: Table
    sittings: Table
    links: Table
    audit: Table
    api_tokens: Table
    tries: Table


def admission_tables(metadata: MetaData) -> Admission:
    return Admission(
        _users(metadata),
        _sittings(metadata),
        _links(metadata),
        _audit(metadata),
        _api_tokens(metadata),
        _tries(metadata),
    )


def _users(metadata: MetaData) -> Table:
    """``login`` is what people type, ``folded`` what it is found by. ``password``: an argon2 hash; empty: none set yet.
    ``disabled_at``: since when he may not come in (Unix seconds); None: he may."""
    return Table(
        "users",
        metadata,
        Column("id", Id, primary_key=True),
        Column("login", String(80), nullable=False),
        Column("folded", String(80), nullable=False),
        Column("role", String(16), nullable=False),
        Column("password", Text, nullable=False),
        Column("created_at", Float, nullable=False),
        Column("disabled_at", Float),
        Column("seen_at", Float),
        UniqueConstraint("folded"),
    )


def _sittings(metadata: MetaData) -> Table:
    """Who is logged in. A row is deleted when the sitting ends, so a copied cookie is worth nothing then."""
    table = Table(
        "sittings",
        metadata,
        Column("digest", String(64), primary_key=True),
        Column("user_id", BigInteger, nullable=False),
        Column("began_at", Float, nullable=False),
        Column("seen_at", Float, nullable=False),
    )
    Index("sittings_user", table.c.user_id)
    return table


def _links(metadata: MetaData) -> Table:
    """Links that let in once: ``setup`` makes the first admin, ``password`` sets the password of ``user_id``."""
    return Table(
        "links",
        metadata,
        Column("digest", String(64), primary_key=True),
        Column("kind", String(16), nullable=False),
        Column("user_id", BigInteger),
        Column("until", Float, nullable=False),
    )


def _audit(metadata: MetaData) -> Table:
    """Who changed what by the pages. ``account``: the account's name in the installation, empty if it is about none.
    ``details``: more of the same for whoever wants to see it, a diff for instance."""
    return Table(
        "audit",
        metadata,
        Column("id", Id, primary_key=True),
        Column("at", Float, nullable=False),
        Column("who", String(120), nullable=False),
        Column("account", String(160), nullable=False),
        Column("deed", String(40), nullable=False),
        Column("words", Text, nullable=False),
        Column("details", Text, nullable=False),
    )


def _api_tokens(metadata: MetaData) -> Table:
    """Tokens of programs: only a digest is kept. ``revoked_at``: None while it works."""
    return Table(
        "api_tokens",
        metadata,
        Column("id", Id, primary_key=True),
        Column("name", String(80), nullable=False),
        Column("digest", String(64), nullable=False),
        Column("role", String(16), nullable=False),
        Column("created_at", Float, nullable=False),
        Column("created_by", String(120), nullable=False),
        Column("used_at", Float),
        Column("revoked_at", Float),
        UniqueConstraint("digest"),
    )


def _tries(metadata: MetaData) -> Table:
    """Log-ins that failed. ``digest``: of whose and from where; a try counts until ``until`` and is deleted then."""
    table = Table(
        "tries",
        metadata,
        Column("id", Id, primary_key=True),
        Column("digest", String(64), nullable=False),
        Column("at", Float, nullable=False),
        Column("until", Float, nullable=False),
    )
    Index("tries_digest", table.c.digest, table.c.at)
    return table
