"""Waiting events: those a rule could not act on yet, because its ``when`` was not met.

The event is kept in table ``waiting_events``. When the deal has changed and still is on the same stage, the rule is
evaluated on it once more; when it has acted, or the deal has left, the row is gone. Restarts change nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select
from sqlalchemy.engine import Connection

from amo_bridge.events import Event
from amo_bridge.events.codec import from_json, to_json
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, chunks, insert_or_replace
from amo_bridge.storage.tables import waiting_events


@dataclass(frozen=True)
class WaitingEvent:
    """An event that a rule waits with. ``event_key``: under which it would have been acted on; ``stage``: where the
    deal was. ``done_slots``: the tasks that the rule set already, when only some of them wait; None: nothing was done.
    """

    id: int
    rule: str
    event: Event
    event_key: str
    stage: tuple[int, int]
    done_slots: frozenset[str] | None = None


class WaitingEvents:
    """The waiting events of one account."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def of(self, deal_ids: Iterable[int]) -> dict[int, list[WaitingEvent]]:
        """Deal id → its waiting events, oldest first; deals without any are left out. Raises StoreUnavailable."""
        found: dict[int, list[WaitingEvent]] = {}
        with self._store.read() as connection:
            for chunk in chunks(sorted(set(deal_ids))):
                rows = connection.execute(
                    select(waiting_events)
                    .where(self._store.owns(waiting_events), waiting_events.c.deal_id.in_(chunk))
                    .order_by(waiting_events.c.id)
                )
                for row in rows:
                    if waiting := _restored(row):
                        found.setdefault(row.deal_id, []).append(waiting)
        return found

    def put(
        self,
        connection: Connection,
        deal_id: int,
        rule: str,
        event: Event,
        event_key: str,
        stage: tuple[int, int],
        done_slots: Iterable[str] | None,
        now: datetime,
    ) -> None:
        """Keep an event. An older one about the same subject is replaced: the rule wants the newest."""
        row: dict[str, Any] = {
            "account": self._store.account_id,
            "deal_id": deal_id,
            "rule": rule,
            "subject": event.subject[:120],
            "event_key": event_key,
            "event": json.dumps(to_json(event), ensure_ascii=False),
            "pipeline_id": stage[0],
            "status_id": stage[1],
            "done_slots": None if done_slots is None else json.dumps(sorted(done_slots), ensure_ascii=False),
            "at": now.timestamp(),
        }
        insert_or_replace(connection, waiting_events, ("account", "deal_id", "rule", "subject"), [row])

    def settle(self, connection: Connection, waiting: Sequence[WaitingEvent]) -> None:
        """These were acted on, or are past: nobody waits with them any more."""
        for chunk in chunks([one.id for one in waiting]):
            connection.execute(delete(waiting_events).where(waiting_events.c.id.in_(chunk)))

    def forget(self, connection: Connection, deal_ids: Iterable[int]) -> None:
        """Of deals that are deleted."""
        for chunk in chunks(sorted(deal_ids)):
            mine = (self._store.owns(waiting_events), waiting_events.c.deal_id.in_(chunk))
            connection.execute(delete(waiting_events).where(*mine))


def _restored(row: Row[Any]) -> WaitingEvent | None:
    """None for an event that a newer version of the bridge wrote."""
    stored: Mapping[str, Any] = json.loads(row.event)
    try:
        event = from_json(stored)
    except ValueError:
        return None
    return WaitingEvent(
        id=row.id,
        rule=row.rule,
        event=event,
        event_key=row.event_key,
        stage=(row.pipeline_id, row.status_id),
        done_slots=None if row.done_slots is None else frozenset(json.loads(row.done_slots)),
    )
