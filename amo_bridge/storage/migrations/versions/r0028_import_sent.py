"""What an import sent for a person of whose deal amoCRM did not take a part: it is looked for if the answer is lost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.add_column("import_rows", sa.Column("sent", sa.Text))
