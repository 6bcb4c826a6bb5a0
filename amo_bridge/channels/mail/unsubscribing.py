"""Unsubscribing by the link in a letter: the address gets no advertising from now on, and rules hear of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from amo_bridge.channels.mail.memory import MailMemory
from amo_bridge.clock import Clock, SystemClock
from amo_bridge.config.channels import TOKEN_LENGTH
from amo_bridge.engine.event_queue import add_events
from amo_bridge.events import ClientUnsubscribed
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import letters

BY_LINK = "по ссылке в письме"


@dataclass(frozen=True)
class Mailed:
    """A letter by which somebody may unsubscribe."""

    account: int
    letter_id: int
    deal_id: int
    contact_id: int
    address_key: str


class Unsubscribing:
    """One store's letters, whatever account they are of. Everything raises StoreUnavailable."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()

    def letter(self, token: str) -> Mailed | None:
        """The letter in which this link stood."""
        if len(token) != TOKEN_LENGTH:
            return None
        with self._store.read() as connection:
            row = connection.execute(select(letters).where(letters.c.token == token)).first()
        return None if row is None else Mailed(row.account, row.id, row.deal_id, row.contact_id, row.address_key)

    def unsubscribe(self, letter: Mailed) -> None:
        """At once, and as often as anybody likes: the second time changes nothing."""
        now = self._clock.now().timestamp()
        event = ClientUnsubscribed(
            at=datetime.fromtimestamp(int(now), UTC),
            deal_id=letter.deal_id,
            contact_id=letter.contact_id,
            letter_id=letter.letter_id,
        )
        with self._store.write() as connection:
            memory = MailMemory(self._store, letter.account, self._clock)
            memory.suppress(connection, letter.address_key, "unsubscribed", BY_LINK)
            add_events(connection, letter.account, [event], now)
