"""Whether there is anything to do: one question for all queues, so that an idle account costs one look a second.

It is asked before each round. Every queue keeps a partial index of its open rows, so an empty one answers at once.
"""

from __future__ import annotations

from sqlalchemy import Select, and_, exists, literal_column, or_, select

from amo_bridge.clock import Clock
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import events, in_open_state, inbox, outbox


class Outlook:
    def __init__(self, store: Store, account: int, clock: Clock) -> None:
        self._store = store
        self._account = account
        self._clock = clock

    def has_work(self) -> bool:
        """Is there a hook to decode, an event to judge, an effect to send or to look for, that is due? Raises
        StoreUnavailable."""
        with self._store.read() as connection:
            return bool(connection.execute(self.question()).scalar_one())

    def question(self) -> Select[tuple[bool]]:
        """The statement that asks."""
        now = self._clock.now().timestamp()
        # States stand in the statement's own text: SQLite takes a partial index only for what it knows before.
        new, unjudged = inbox.c.state == literal_column("'new'"), events.c.state == literal_column("'open'")
        unsettled = and_(in_open_state(outbox), outbox.c.state != literal_column("'waiting'"))
        return select(
            or_(
                exists().where(inbox.c.account == self._account, new),
                exists().where(events.c.account == self._account, unjudged, events.c.due_at <= now),
                exists().where(outbox.c.account == self._account, unsettled, outbox.c.due_at <= now),
            )
        )
