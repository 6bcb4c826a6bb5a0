"""Webinar imports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _imports()
    _rows()
    op.create_table(
        "import_columns",
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("signature", sa.String(32), primary_key=True),
        sa.Column("columns", sa.Text, nullable=False),
    )


def _imports() -> None:
    op.create_table(
        "imports",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False, index=True),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("held_on", sa.String(10), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("made_at", sa.Float, nullable=False),
        sa.Column("made_by", sa.String(120), nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("finished_at", sa.Float),
        sa.Column("trouble", sa.Text, nullable=False),
    )


def _rows() -> None:
    op.create_table(
        "import_rows",
        sa.Column("id", Id, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("import_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("person_key", sa.String(32), nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("standing", sa.String(12), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("interest", sa.String(8), nullable=False),
        sa.Column("planned", sa.Text, nullable=False),
        sa.Column("contact_id", sa.BigInteger),
        sa.Column("deal_id", sa.BigInteger),
        sa.Column("made_contact", sa.Integer, nullable=False),
        sa.Column("step", sa.String(8), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("note", sa.Text, nullable=False),
        sa.UniqueConstraint("import_id", "person_key"),
    )
    op.create_index("import_rows_step", "import_rows", ["import_id", "step", "state"])
    op.create_index("import_rows_person", "import_rows", ["account", "person_key"])
