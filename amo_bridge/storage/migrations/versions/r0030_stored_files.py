"""Folders of deals in the document storage, and the copies of files in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from amo_bridge.storage.tables import Id

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.create_table(
        "deal_folders",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("vendor", sa.String(24), primary_key=True),
        sa.Column("deal_id", sa.BigInteger, primary_key=True, autoincrement=False),
        _text("ref"),
        _text("url"),
        sa.Column("made_at", sa.Float, nullable=False),
    )
    op.create_table(
        "stored_files",
        sa.Column("id", Id, primary_key=True),
        _number("account"),
        _text("vendor", 24),
        _number("deal_id"),
        _text("file_uuid", 64),
        _text("version_uuid", 64),
        _text("base"),
        sa.Column("version", sa.Integer, nullable=False),
        *(_text(name) for name in ("name", "folder_ref", "ref", "url")),
        _number("size"),
        _text("md5", 32),
        sa.Column("file_at", sa.Float, nullable=False),
        _text("state", 10),
        _number("outbox_id"),
        sa.Column("stored_at", sa.Float),
        sa.UniqueConstraint("account", "vendor", "deal_id", "file_uuid", "version_uuid"),
    )


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False)
