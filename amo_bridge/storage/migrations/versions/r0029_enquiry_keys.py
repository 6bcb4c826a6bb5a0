"""Keys of enquiries: those of ``[intake.mapped.…]`` begin with their section, long ones are hashed instead of cut; and
people of messengers are known by their numbers there."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

LONGEST = 200
_enquiries = sa.table(
    "enquiries", *(sa.column(name) for name in ("id", "account", "source", "key", "body", "request_id"))
)
_requests = sa.table("intake_requests", *(sa.column(name) for name in ("id", "account", "vendor", "name")))


_addresses = sa.table("enquiry_addresses", *(sa.column(name) for name in ("account", "address", "enquiry_id")))
MESSENGERS = ("telegram", "max", "viber", "messenger")
NUMBERS = ("telegram_id", "max_id", "viber_id", "psid")


def upgrade() -> None:
    _renew_keys(op.get_bind())
    _add_numbers(op.get_bind())


def _add_numbers(connection: sa.Connection) -> None:
    columns = (_enquiries.c.id, _enquiries.c.account, _enquiries.c.body)
    rows = connection.execute(sa.select(*columns).where(_enquiries.c.source.in_(MESSENGERS))).all()
    found = [
        {"account": row.account, "address": f"{name}:{number}"[:160], "enquiry_id": row.id}
        for row in rows
        for name, number in _told(row.body, "extra", {}).items()
        if name in NUMBERS
    ]
    if found:
        connection.execute(sa.insert(_addresses), found)


def _renew_keys(connection: sa.Connection) -> None:
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
    told = _told(body, "key", key)
    return told if told.startswith(key) else key


def _told(body: str, name: str, missing: Any) -> Any:
    try:
        told = json.loads(body).get(name)
    except (ValueError, AttributeError):
        return missing
    return told if isinstance(told, type(missing)) else missing


def _short(key: str) -> str:
    return key if len(key) <= LONGEST else f"long:{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()}"
