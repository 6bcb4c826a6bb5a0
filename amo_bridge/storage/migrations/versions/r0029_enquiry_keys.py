"""Keys of enquiries: those of ``[intake.mapped.…]`` begin with their section, long ones are hashed instead of cut."""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

LONGEST = 200
_enquiries = sa.table(
    "enquiries", *(sa.column(name) for name in ("id", "account", "source", "key", "body", "request_id"))
)
_requests = sa.table("intake_requests", *(sa.column(name) for name in ("id", "account", "vendor", "name")))


def upgrade() -> None:
    connection = op.get_bind()
    came = sa.and_(_requests.c.id == _enquiries.c.request_id, _requests.c.account == _enquiries.c.account)
    is_mapped = sa.and_(_enquiries.c.source == "mapped", _requests.c.vendor == "mapped", _requests.c.name != "")
    rows = connection.execute(
        sa.select(_enquiries.c.id, _enquiries.c.key, _enquiries.c.body, _requests.c.name, is_mapped.label("is_mapped"))
        .select_from(_enquiries.outerjoin(_requests, came))
        .where(sa.or_(is_mapped, sa.func.length(_enquiries.c.key) >= LONGEST))
    ).all()
    for row in rows:
        key = _whole(row.key, row.body)
        new = _short(f"{row.name}:{key}" if row.is_mapped else key)
        if new != row.key:
            connection.execute(sa.update(_enquiries).where(_enquiries.c.id == row.id).values(key=new))


def _whole(key: str, body: str) -> str:
    """The key as it was before it was cut."""
    try:
        told = json.loads(body).get("key")
    except (ValueError, AttributeError):
        return key
    return told if isinstance(told, str) and told.startswith(key) else key


def _short(key: str) -> str:
    return key if len(key) <= LONGEST else f"long:{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()}"
