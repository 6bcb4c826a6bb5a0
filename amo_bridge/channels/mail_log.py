"""Repository of letters: which were sent, in which thread, under which link; who wants no more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.channels.letter import key_of
from amo_bridge.clock import Clock, SystemClock
from amo_bridge.config.channels import TOKEN_LENGTH
from amo_bridge.engine.event_queue import add_events
from amo_bridge.events import ClientUnsubscribed
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, Store, chunks, insert_new
from amo_bridge.storage.tables import letters, outbox, suppressed

Reason = Literal["unsubscribed", "refused"]
LetterState = Literal[
    "sending", "sent", "failed", "delivered", "read", "clicked", "unsubscribed", "spam", "bounced"
]  # fmt: skip
"""In the order in which a later one replaces an earlier one, in whatever order they are told."""
STATES: tuple[str, ...] = get_args(LetterState)


@dataclass(frozen=True)
class Suppression:
    """An address that gets no letters: ``reason`` as in the table; ``words``: whose decision, in words."""

    reason: str
    words: str


@dataclass(frozen=True)
class SentLetter:
    """A letter, as it is remembered."""

    outbox_id: int
    deal_id: int
    contact_id: int
    address_key: str
    template: str
    thread: str
    message_id: str
    token: str | None


@dataclass(frozen=True)
class KeptLetter:
    """What is known of a letter whose answer was lost. ``is_out``: somebody has told since that it is."""

    address_key: str
    letter_key: str
    began: datetime
    is_out: bool


Cause = Literal["link", "service", "complaint", "bounce"]
CAUSES: Mapping[str, Cause] = {"unsubscribed": "service", "spam": "complaint", "bounced": "bounce"}
"""States after which nothing more is written."""
BY_LINK = "по ссылке в письме"
WORDS: Mapping[Cause, str] = {
    "link": BY_LINK,
    "service": "отписался через почтовый сервис",
    "complaint": "пожаловался на спам",
    "bounce": "письмо вернулось: такого адреса нет",
}
"""Why an address gets no letters (Russian)."""


class MailMemory:
    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def begin(self, letter: SentLetter) -> SentLetter:
        """Remember a letter before it is sent, once however often it is tried: with the link that it had then."""
        now = self._clock.now().timestamp()
        row = {**vars(letter), "account": self._store.account_id, "sent_at": now, "state": "sending"}
        mine = self._of(letter.outbox_id)
        with self._store.write() as connection:
            known = connection.execute(select(letters.c.token).where(*mine)).first()
            if known is not None:
                letter = replace(letter, token=known.token if letter.token else None)
                changed = {**vars(letter), "sent_at": now}
                connection.execute(update(letters).where(*mine).values(**changed))
            else:
                insert_new(connection, letters, [row])
        return letter

    def keep(self, connection: Connection, outbox_id: int, vendor_id: str = "") -> None:
        """It is out. ``vendor_id``: the service's number of it, which a webhook may have told before."""
        now = self._clock.now().timestamp()
        out = update(letters).where(*self._of(outbox_id), letters.c.state == "sending")
        connection.execute(out.values(state="sent", sent_at=now))
        if vendor_id:
            connection.execute(update(letters).where(*self._of(outbox_id)).values(vendor_id=vendor_id[:60]))

    def lost(self, outbox_id: int) -> KeptLetter | None:
        """A letter whose answer was lost."""
        with self._store.read() as connection:
            row = connection.execute(select(letters).where(*self._of(outbox_id))).first()
        if row is None:
            return None
        began = datetime.fromtimestamp(row.sent_at, UTC)
        return KeptLetter(row.address_key, key_of(row.message_id), began, is_out=row.state != "sending")

    def report(
        self,
        connection: Connection,
        outbox_id: int,
        address_key: str,
        state: LetterState,
        *,
        vendor_id: str = "",
        words: str = "",
    ) -> bool:
        """A service tells what became of a letter; False if it is none of ours.

        Nobody there: nothing is sent to the address any more. Unsubscribed, a complaint: no advertising. Rules hear of
        it once. A letter of which nobody knew whether it is out has surely gone.
        """
        mine = (*self._of(outbox_id), letters.c.address_key == address_key)
        row = connection.execute(select(letters).where(*mine)).first()
        if row is None:
            return False
        if STATES.index(state) > STATES.index(row.state):
            changed = {"state": state, "vendor_id": row.vendor_id or vendor_id[:60], "words": words}
            connection.execute(update(letters).where(letters.c.id == row.id).values(**changed))
        unknown = (self._store.owns(outbox), outbox.c.id == outbox_id, outbox.c.state == "unknown")
        gone = "ушло, но не дошло" if state in ("failed", "bounced") else "ушло"
        told = {"state": "done", "error": None, "result": json.dumps({"told": f"{gone}: сказал сервис"})}
        now = self._clock.now().timestamp()
        connection.execute(update(outbox).where(*unknown).values(**told, done_at=now))
        if state in CAUSES:
            cause = CAUSES[state]
            self.suppress(connection, address_key, "refused" if cause == "bounce" else "unsubscribed", WORDS[cause])
            event = ClientUnsubscribed(
                at=datetime.fromtimestamp(int(now), UTC),
                deal_id=row.deal_id,
                contact_id=row.contact_id,
                letter_id=row.id,
                cause=cause,
            )
            add_events(connection, self._store.account_id, [event], now)
        return True

    def _of(self, outbox_id: int) -> tuple[ColumnElement[bool], ...]:
        return (self._store.owns(letters), letters.c.outbox_id == outbox_id)

    def threads(self, deal_ids: Iterable[int]) -> Mapping[tuple[int, str], Sequence[str]]:
        """(deal, thread) → the Message-IDs of its letters, oldest first."""
        found: dict[tuple[int, str], list[str]] = {}
        columns = (letters.c.deal_id, letters.c.thread, letters.c.message_id)
        with self._store.read() as connection:
            for some in chunks(sorted(set(deal_ids))):
                mine = (self._store.owns(letters), letters.c.deal_id.in_(some), letters.c.thread != "")
                out = select(*columns).where(*mine, letters.c.state != "sending")
                for row in connection.execute(out.order_by(letters.c.id)):
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

    def refuse_unwilling(self, outbox_id: int, address_key: str, *, is_complaint: bool) -> None:
        """A service does not write there any more: as if its webhook had told so of this letter."""
        with self._store.write() as connection:
            self.report(connection, outbox_id, address_key, "spam" if is_complaint else "unsubscribed")

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
