"""Open deals by field: those that have a value in a field that deals are asked for by.

Kept from the moment a field is followed (``follow``), in the transactions that change the mirror, so that a question
about some deals does not read the records of all that are open. Which deals they are is all that is kept: what stands
in the field is read from the deal itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, insert, or_, select, text
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.records import DealRecord
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import cursors, deals, open_deal_fields

MARK = "open_field:"
"""Cursors «open_field:7»: deals are kept by this field."""


def followed(connection: Connection, account_id: int) -> list[int]:
    """The fields."""
    mine = (cursors.c.account == account_id, cursors.c.name.like(f"{MARK}%"))
    return [int(name.removeprefix(MARK)) for name in connection.execute(select(cursors.c.name).where(*mine)).scalars()]


def keep_open_fields(
    connection: Connection, account_id: int, records: Iterable[DealRecord], gone: Iterable[int] = ()
) -> None:
    """These deals are so from now on; ``gone``: numbers of deals that are no more. To be called when the deals are
    written, in their transaction: others that write them, and ``follow``, wait for its end by then."""
    fields = followed(connection, account_id)
    if not fields:
        return
    found = {record.id: record for record in records}
    for some in chunks(sorted({*found, *gone})):
        mine = (open_deal_fields.c.account == account_id, open_deal_fields.c.field_id.in_(fields))
        connection.execute(delete(open_deal_fields).where(*mine, open_deal_fields.c.deal_id.in_(some)))
    rows = [
        {"account": account_id, "field_id": field_id, "deal_id": record.id}
        for record in found.values()
        if record.status_id not in (WON, LOST) and not record.is_deleted
        for field_id in fields
        if record.fields.get(field_id)
    ]
    for part in chunks(rows):
        connection.execute(insert(open_deal_fields), part)


def follow(store: AccountStore, field_ids: Iterable[int]) -> None:
    """Keep open deals by these fields from now on, and by no others. Raises StoreUnavailable."""
    wanted = set(field_ids)
    with store.read() as connection:
        known = set(followed(connection, store.account_id))
    if wanted == known:
        return
    with store.write() as connection:
        if connection.dialect.name == "postgresql":
            # What others write meanwhile would be seen by nobody.
            connection.execute(text("LOCK TABLE deals IN SHARE ROW EXCLUSIVE MODE"))
        own = Cursors(store)
        for field_id in sorted(known - wanted):
            of_field = (store.owns(open_deal_fields), open_deal_fields.c.field_id == field_id)
            connection.execute(delete(open_deal_fields).where(*of_field))
            own.forget(connection, f"{MARK}{field_id}")
        for field_id in sorted(wanted - known):
            numbers = connection.execute(_with_value(store, field_id, deals.c.deal_id)).scalars().all()
            rows = [{"account": store.account_id, "field_id": field_id, "deal_id": number} for number in numbers]
            for part in chunks(rows):
                connection.execute(insert(open_deal_fields), part)
            own.write(connection, f"{MARK}{field_id}", 1.0)


def open_deals_with(connection: Connection, store: AccountStore, field_id: int) -> list[tuple[int, str]]:
    """(number, record as JSON) of the open deals that may have a value in the field, by number. Raises
    StoreUnavailable."""
    columns = (deals.c.deal_id, deals.c.record)
    query = _with_value(store, field_id, *columns)
    if field_id in followed(connection, store.account_id):
        same = and_(deals.c.account == open_deal_fields.c.account, deals.c.deal_id == open_deal_fields.c.deal_id)
        mine = (store.owns(open_deal_fields), open_deal_fields.c.field_id == field_id)
        query = select(*columns).join_from(open_deal_fields, deals, same).where(*mine)
    return sorted((number, record) for number, record in connection.execute(query))


def _with_value(store: AccountStore, field_id: int, *columns: ColumnElement[Any]) -> Select[Any]:
    """Of a field that is not followed. Most deals have no value there: those are passed by without being decoded."""
    # Numbers of stages lie on both sides of won and lost, which are neighbours: of an index two ranges, where «not in»
    # would read every deal that was ever closed.
    is_open = or_(deals.c.status_id < WON, deals.c.status_id > LOST)
    return select(*columns).where(store.owns(deals), is_open, deals.c.record.like(f'%"{field_id}":%'))
