"""The events that are to be judged next.

Order: an event of a deal waits while an older one of the same deal is open, or while effects of an older one are not
yet sent; thousands of deals still fill a batch.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, and_, exists, select

from amo_bridge.clock import Clock
from amo_bridge.engine.lanes.which import in_lane
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import events, in_open_state, outbox


class OpenEvents:
    def __init__(self, store: Store, account_key: int, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._clock = clock

    def oldest(self, most: int) -> list[Row[Any]]:
        """Those that may be judged now: id, key, body, deal_id, received_at."""
        now = self._clock.now().timestamp()
        older = outbox.alias()
        waits_for_effects = exists().where(
            and_(
                older.c.account == self._key,
                older.c.deal_id == events.c.deal_id,
                in_open_state(older),
                in_lane("crm", older),
            )
        )
        earlier = events.alias()
        waits_for_event = exists().where(
            and_(
                earlier.c.account == self._key,
                earlier.c.deal_id == events.c.deal_id,
                earlier.c.id < events.c.id,
                earlier.c.state == "open",
                earlier.c.due_at > now,
            )
        )
        with self._store.read() as connection:
            return list(
                connection.execute(
                    select(events.c.id, events.c.key, events.c.body, events.c.deal_id, events.c.received_at)
                    .where(
                        events.c.account == self._key,
                        events.c.state == "open",
                        events.c.due_at <= now,
                        ~waits_for_effects,
                        ~waits_for_event,
                    )
                    .order_by(events.c.id)
                    .limit(most)
                )
            )
