"""Decisions are found by the deal's name and person; those that came to something have an index of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from amo_bridge.text.names import normalise

revision = "0035"
down_revision = "0034"
BATCH = 1000
LOUD = ("acts", "would_act", "retried", "undone", "failed", "held")

_deals = sa.table(
    "deals", *(sa.column(name) for name in ("account", "deal_id", "record", "plain_name", "responsible_user_id"))
)


def upgrade() -> None:
    op.add_column("deals", sa.Column("plain_name", sa.Text, nullable=False, server_default=""))
    op.add_column("deals", sa.Column("responsible_user_id", sa.BigInteger, nullable=False, server_default="0"))
    _fill(op.get_bind())
    op.create_index("deals_person", "deals", ["account", "responsible_user_id", "deal_id"])
    op.create_index("deals_named", "deals", ["account", "deal_id", "plain_name"])
    loud = sa.column("verdict").in_(LOUD)
    op.create_index("journal_loud", "journal", ["account", "id"], sqlite_where=loud, postgresql_where=loud)


def _fill(connection: sa.Connection) -> None:
    """What the records say already."""
    account = deal = -1
    while rows := _next(connection, account, deal):
        told = [_told(row) for row in rows]
        same = (_deals.c.account == sa.bindparam("of_account"), _deals.c.deal_id == sa.bindparam("of_deal"))
        change = sa.update(_deals).where(*same)
        connection.execute(
            change.values(plain_name=sa.bindparam("new_name"), responsible_user_id=sa.bindparam("new_person")), told
        )
        account, deal = rows[-1].account, rows[-1].deal_id


def _next(connection: sa.Connection, account: int, deal: int) -> Sequence[Any]:
    after = (_deals.c.account > account) | ((_deals.c.account == account) & (_deals.c.deal_id > deal))
    wanted = sa.select(_deals.c.account, _deals.c.deal_id, _deals.c.record).where(after)
    return connection.execute(wanted.order_by(_deals.c.account, _deals.c.deal_id).limit(BATCH)).all()


def _told(row: Any) -> dict[str, Any]:
    """A record that can't be read is found by its number alone, until it is read again."""
    try:
        record = json.loads(row.record)
        name, person = normalise(str(record.get("name") or ""))[:250], int(record.get("responsible_user_id") or 0)
    except (ValueError, TypeError, AttributeError):
        name, person = "", 0
    return {"of_account": row.account, "of_deal": row.deal_id, "new_name": name, "new_person": person}
