"""What a look for missed changes has found, until all its pages are read: lists are read from the newest to the oldest,
and events are handed on in the order in which they happened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from amo_bridge.crm.records import EPOCH
from amo_bridge.events import Event
from amo_bridge.events.codec import from_json, to_json
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import found


class Found:
    def __init__(self, store: Store, account_key: int) -> None:
        self._store = store
        self._key = account_key

    def keep(self, connection: Connection, newest_first: Iterable[Event]) -> None:
        """Within the transaction that keeps the look's place."""
        rows = [
            {
                "account": self._key,
                "at": (event.at or EPOCH).timestamp(),
                "body": json.dumps(to_json(event, with_raw=True), ensure_ascii=False),
            }
            for event in newest_first
        ]
        if rows:
            connection.execute(insert(found), rows)

    def oldest(self, most: int) -> dict[int, Event]:
        """Those that happened first, by number, in the order in which they happened."""
        mine = select(found.c.id, found.c.body).where(found.c.account == self._key)
        with self._store.read() as connection:
            rows = connection.execute(mine.order_by(found.c.at, found.c.id.desc()).limit(most)).all()
        return {row.id: from_json(json.loads(row.body)) for row in rows}

    def newest_first(self) -> Iterator[Event]:
        """All of them, as they were found."""
        mine = select(found.c.body).where(found.c.account == self._key).order_by(found.c.id)
        with self._store.read() as connection:
            for body in connection.execute(mine).scalars():
                yield from_json(json.loads(body))

    def drop(self, connection: Connection, numbers: Iterable[int]) -> None:
        """They are handed on."""
        connection.execute(delete(found).where(found.c.id.in_(list(numbers))))
