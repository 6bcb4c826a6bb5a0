"""Steps that fired long ago go when nothing could ask for them again: the deal has left the stage, its date is another
one, the slot of the round is past, or the deal is gone.

As long as the timetable wants a step, its row is what keeps it from being done twice, however old it is. What a rule
that is switched off would want nobody can tell: its rows stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row, delete, select
from sqlalchemy.engine import Connection

from amo_bridge.engine.timers import FIRED, Timers, main_contacts
from amo_bridge.engine.timetable import TimerKey, Timetable
from amo_bridge.mirror.deals import Mirror
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import timers

CHUNK = 250


def forget_old(store: Store, account: int, timetable: Timetable, before: float) -> Iterator[int]:
    """Delete those that fell due before then (Unix seconds, account's clock); after each chunk how many went. Raises
    StoreUnavailable."""
    last = 0
    while True:
        with store.write() as connection:
            rows = connection.execute(_old(account, before, last)).all()
            gone = _unwanted(connection, account, Mirror(store, account), timetable, rows)
            connection.execute(delete(timers).where(timers.c.id.in_(gone)))
        if gone:
            yield len(gone)
        if len(rows) < CHUNK:
            return
        last = rows[-1].id


def _old(account: int, before: float, last: int) -> Any:
    old = (timers.c.account == account, timers.c.state == FIRED, timers.c.due_at < before)
    return select(timers).where(*old, timers.c.id > last).order_by(timers.c.id).limit(CHUNK)


def _unwanted(
    connection: Connection, account: int, mirror: Mirror, timetable: Timetable, rows: Sequence[Row[Any]]
) -> list[int]:
    """The numbers of the rows that nobody will ask for."""
    copies = mirror.among(connection, {row.deal_id for row in rows})
    people = main_contacts(connection, account, copies.values()) if timetable.contact_dates else None
    wanted = timetable.wanted(copies.values(), Timers(account).in_force(connection), people)
    return [
        row.id
        for row in rows
        if row.deal_id not in copies
        or (
            row.rule in timetable.digests
            and (row.deal_id, row.rule) not in wanted.unknown
            and TimerKey(row.deal_id, row.rule, row.step, row.anchor) not in wanted.steps
        )
    ]
