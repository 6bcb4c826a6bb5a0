"""What an import has added to a contact, for its undo."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("import_rows", sa.Column("contact_was", sa.Text))
