"""What is remembered of letters: which went out, in which thread, under which link; and who wants no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import insert, select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock, SystemClock
from amo_bridge.config.channels import TOKEN_LENGTH
from amo_bridge.engine.event_queue import add_events
from amo_bridge.events import ClientUnsubscribed
from amo_bridge.storage.database import AccountStore, Store, chunks, insert_new
from amo_bridge.storage.tables import letters, suppressed

Reason = Literal["unsubscribed", "refused"]


@dataclass(frozen=True)
class Suppression:
    """An address that gets no letters: ``reason`` as in the table; ``words``: whose decision, in words."""

    reason: str
    words: str


@dataclass(frozen=True)
class SentLetter:
    outbox_id: int
    deal_id: int
    contact_id: int
    address_key: str
    template: str
    thread: str
    message_id: str
    token: str | None


class MailMemory:
    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def keep(self, connection: Connection, letter: SentLetter) -> None:
        """Remember a letter that is out, once."""
        row = {**vars(letter), "account": self._store.account_id, "sent_at": self._clock.now().timestamp()}
        insert_new(connection, letters, [row])

    def threads(self, deal_ids: Iterable[int]) -> Mapping[tuple[int, str], Sequence[str]]:
        """(deal, thread) → the Message-IDs of its letters, oldest first."""
        found: dict[tuple[int, str], list[str]] = {}
        columns = (letters.c.deal_id, letters.c.thread, letters.c.message_id)
        with self._store.read() as connection:
            for some in chunks(sorted(set(deal_ids))):
                mine = (self._store.owns(letters), letters.c.deal_id.in_(some), letters.c.thread != "")
                for row in connection.execute(select(*columns).where(*mine).order_by(letters.c.id)):
                    found.setdefault((row.deal_id, row.thread), []).append(row.message_id)
        return found

    def suppressions(self, address_keys: Iterable[str]) -> Mapping[str, Suppression]:
        """Which of these addresses get no letters, or no advertising."""
        found: dict[str, Suppression] = {}
        with self._store.read() as connection:
            for some in chunks(sorted(set(address_keys))):
                mine = (self._store.owns(suppressed), suppressed.c.address_key.in_(some))
                for row in connection.execute(select(suppressed).where(*mine)):
                    found[row.address_key] = Suppression(row.reason, row.words)
        return found

    def refuse(self, address_key: str, words: str) -> None:
        """The mail server says that there is nobody: nothing is to be sent there any more."""
        with self._store.write() as connection:
            self.suppress(connection, address_key, "refused", words)

    def suppress(self, connection: Connection, address_key: str, reason: Reason, words: str) -> None:
        now = self._clock.now().timestamp()
        row = {
            "account": self._store.account_id,
            "address_key": address_key,
            "reason": reason,
            "words": words,
            "at": now,
        }
        known = select(suppressed.c.reason).where(self._store.owns(suppressed), suppressed.c.address_key == address_key)
        if connection.execute(known).first() is None:
            connection.execute(insert(suppressed), [row])


# Unsubscribing by the link in a letter: the address gets no advertising from now on, and rules hear of it.

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
            memory = MailMemory(AccountStore(self._store, letter.account), self._clock)
            memory.suppress(connection, letter.address_key, "unsubscribed", BY_LINK)
            add_events(connection, letter.account, [event], now)
