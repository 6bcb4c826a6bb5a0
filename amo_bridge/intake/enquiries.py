"""Enquiries as the store keeps them: found, listed, tried again, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.engine.dead_letters import EFFECT, EVENT, DeadLetters, NotFailed
from amo_bridge.errors import BridgeError
from amo_bridge.intake.model import KIND_OF, DeliveryStatus, Enquiry, PbxCall, Recording, from_json, to_json
from amo_bridge.intake.reception import VENDORS
from amo_bridge.intake.repository import short_key
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, chunks, insert_new, notify
from amo_bridge.storage.tables import (
    GAVE_UP,
    OPEN_ENQUIRY_STATES,
    enquiries,
    enquiry_addresses,
    events,
    in_open_enquiry_state,
    outbox,
)
from amo_bridge.text.addresses import HOME, e164, mail_key

EnquiryState = Literal["new", "sent", "waits", "done", "asked", "skipped", "dry", "refused"]
STATE_WORDS: Mapping[str, str] = {
    "new": "ждёт разбора", "sent": "в работе", "waits": "ждёт записи звонка", "done": "сделано",
    "asked": "спросили человека", "skipped": "ничего не заведено", "dry": "вхолостую", "refused": "не вышло",
}  # fmt: skip
SETTLED_STATES = ("done", "asked", "skipped", "dry", "refused")
SOURCE_WORDS: Mapping[str, str] = {"mail": "почта"}
LONGEST_ADDRESS = 160
MESSENGER_NUMBERS = ("telegram_id", "max_id", "viber_id", "psid")
"""By what a messenger tells its people apart, as ``extra`` has it: not everybody has a name there."""
Stored = Enquiry | PbxCall | Recording | DeliveryStatus


class NotRetryable(BridgeError):
    """The enquiry can't be tried again; the text (Russian) says why."""


def title_of(source: str) -> str:
    """What people call a source."""
    vendor = VENDORS.get(source)
    return vendor.title if vendor else SOURCE_WORDS.get(source, source)


@dataclass(frozen=True)
class StoredEnquiry:
    """A row. ``outcome``: what became of it, Russian; ``error``: what went wrong. Ids are amoCRM's."""

    id: int
    kind: str
    source: str
    key: str
    request_id: int | None
    received_at: float
    body: Any
    state: EnquiryState
    standing: str
    outcome: str
    error: str
    attempts: int
    event_key: str | None
    contact_id: int | None
    deal_id: int | None

    @property
    def enquiry(self) -> Enquiry | None:
        """What the person wants; of a call what the vendor knows beside it."""
        if isinstance(self.body, Enquiry):
            return self.body
        return self.body.enquiry if isinstance(self.body, PbxCall) else None

    def to_json(self) -> dict[str, Any]:
        """For programs; the keys are published."""
        call = self.body if isinstance(self.body, PbxCall) else None
        known = self.enquiry
        return {
            "id": self.id,
            "kind": self.kind,
            "source": self.source,
            "received_at": datetime.fromtimestamp(self.received_at, UTC).isoformat(),
            "name": known.name if known else None,
            "phones": list(known.phones) if known else [call.phone] if call and call.phone else [],
            "emails": list(known.emails) if known else [],
            "text": known.text if known else "",
            "utm": dict(known.utm) if known else {},
            "state": self.state,
            "outcome": self.outcome,
            "error": self.error,
            "attempts": self.attempts,
            "contact_id": self.contact_id,
            "deal_id": self.deal_id,
        }


@dataclass(frozen=True, kw_only=True)
class EnquiryFilter:
    """What is to be listed; what is empty does not limit.

    ``text``: a phone, an address or a profile as typed; ``words``: the same, or a part of what was said, of the name or
    of what became of it.
    """

    source: str = ""
    state: str = ""
    kind: str = ""
    since: datetime | None = None
    until: datetime | None = None
    deal_id: int | None = None
    text: str = ""
    words: str = ""


class EnquiryRepository:
    """One account's enquiries.

    ``home``: the country of phones typed without one. All raises StoreUnavailable.
    """

    def __init__(self, store: AccountStore, clock: Clock, home: str = HOME) -> None:
        self._store = store
        self._clock = clock
        self._home = home

    # --- coming in ---

    def add(
        self,
        connection: Connection,
        outcome: Stored,
        *,
        request_id: int | None,
        received_at: float,
        state: EnquiryState = "new",
        words: str = "",
    ) -> bool:
        """Keep what a request says; False if it is there already."""
        row = {
            "account": self._store.account_id,
            "kind": KIND_OF[type(outcome)],
            "source": outcome.source,
            "key": short_key(outcome.key),
            "request_id": request_id,
            "received_at": received_at,
            "body": json.dumps(to_json(outcome), ensure_ascii=False),
            "state": state,
            "outcome": words,
        }
        if not insert_new(connection, enquiries, [row]):
            return False
        same = (enquiries.c.source == row["source"], enquiries.c.key == row["key"])
        query = select(enquiries.c.id).where(self._store.owns(enquiries), *same)
        self._keep_addresses(connection, connection.execute(query).scalar_one(), outcome)
        return True

    def _keep_addresses(self, connection: Connection, number: int, outcome: Stored) -> None:
        known = addresses_of(outcome, self._home)
        of_row = {"account": self._store.account_id, "enquiry_id": number}
        insert_new(connection, enquiry_addresses, [{**of_row, "address": address} for address in known])

    def complete(self, number: int, enquiry: Enquiry) -> None:
        """Keep what its vendor has handed out beside what the webhook told."""
        with self._store.write() as connection:
            self.mark(connection, [number], body=json.dumps(to_json(enquiry), ensure_ascii=False), error="")
            self._keep_addresses(connection, number, enquiry)

    # --- at work ---

    def open(self, state: str, most: int) -> list[StoredEnquiry]:
        """Those of a state that are due, oldest first."""
        wanted = (self._store.owns(enquiries), in_open_enquiry_state(), enquiries.c.state == state)
        due = enquiries.c.due_at <= self._clock.now().timestamp()
        query = select(enquiries).where(*wanted, due).order_by(enquiries.c.id).limit(most)
        with self._store.read() as connection:
            return [_stored(row) for row in connection.execute(query)]

    def mark(self, connection: Connection, numbers: Iterable[int], **values: object) -> None:
        """Change these rows."""
        if values.get("state") in SETTLED_STATES:
            values["done_at"] = self._clock.now().timestamp()
        for chunk in chunks(list(numbers)):
            which = (self._store.owns(enquiries), enquiries.c.id.in_(chunk))
            connection.execute(update(enquiries).where(*which).values(**values))

    def write(self, numbers: Iterable[int], **values: object) -> None:
        """As ``mark``, in a transaction of its own."""
        with self._store.write() as connection:
            self.mark(connection, numbers, **values)

    def put_off(self, numbers: Iterable[int], seconds: float, **values: object) -> None:
        """Have these wait so long."""
        self.write(numbers, due_at=self._clock.now().timestamp() + seconds, **values)

    def earlier_deals(self, addresses: Iterable[str]) -> dict[str, tuple[int, int | None]]:
        """Address → (deal, contact) of the newest enquiry of this person that has a deal."""
        found: dict[str, tuple[int, int | None]] = {}
        for chunk in chunks(sorted(set(addresses))):
            query = (
                select(enquiry_addresses.c.address, enquiries.c.deal_id, enquiries.c.contact_id)
                .join_from(
                    enquiry_addresses,
                    enquiries,
                    and_(
                        enquiries.c.account == enquiry_addresses.c.account,
                        enquiries.c.id == enquiry_addresses.c.enquiry_id,
                    ),
                )
                .where(self._store.owns(enquiry_addresses), enquiry_addresses.c.address.in_(chunk))
                .where(enquiries.c.deal_id > 0)
                .order_by(enquiries.c.id)
            )
            with self._store.read() as connection:
                found |= {row.address: (row.deal_id, row.contact_id) for row in connection.execute(query)}
        return found

    def of_addresses(self, connection: Connection, source: str, addresses: Sequence[str]) -> list[StoredEnquiry]:
        """All of this source by whoever has one of these addresses."""
        of_person = select(enquiry_addresses.c.enquiry_id).where(
            self._store.owns(enquiry_addresses), enquiry_addresses.c.address.in_(addresses)
        )
        wanted = (self._store.owns(enquiries), enquiries.c.source == source, enquiries.c.id.in_(of_person))
        return [_stored(row) for row in connection.execute(select(enquiries).where(*wanted))]

    # --- to be looked at ---

    def get(self, number: int) -> StoredEnquiry | None:
        query = select(enquiries).where(self._store.owns(enquiries), enquiries.c.id == number)
        with self._store.read() as connection:
            row = connection.execute(query).first()
        return _stored(row) if row else None

    def find(self, wanted: EnquiryFilter, most: int = 100, passed: int = 0) -> list[StoredEnquiry]:
        """Newest first, after the first ``passed``."""
        conditions = self._conditions(wanted)
        if wanted.deal_id is None and wanted.since is None:
            # By number: what an index that begins with the account finds would be sorted first.
            conditions[0] = enquiries.c.account + 0 == self._store.account_id
        query = select(enquiries).where(*conditions).order_by(enquiries.c.id.desc())
        with self._store.read() as connection:
            return [_stored(row) for row in connection.execute(query.limit(most).offset(passed))]

    def count(self, wanted: EnquiryFilter) -> int:
        """How many there are."""
        query = select(func.count()).select_from(enquiries).where(*self._conditions(wanted))
        with self._store.read() as connection:
            return int(connection.execute(query).scalar_one())

    def sources(self) -> list[str]:
        """From where enquiries and calls have come."""
        query = select(enquiries.c.source).where(*self._conditions(EnquiryFilter())).distinct()
        with self._store.read() as connection:
            return sorted(connection.execute(query).scalars(), key=title_of)

    def per_day(self, wanted: EnquiryFilter, days_from: Sequence[datetime]) -> list[dict[str, int]]:
        """How many came by source, for each day; ``days_from``: when the days begin, and the end of the last."""
        counts: list[dict[str, int]] = []
        with self._store.read() as connection:
            for start, end in pairwise(days_from):
                of_day = self._conditions(replace(wanted, since=start, until=end))
                query = select(enquiries.c.source, func.count()).where(*of_day).group_by(enquiries.c.source)
                counts.append({source: count for source, count in connection.execute(query)})
        return counts

    def retry_all(self, numbers: Iterable[int], who: str) -> tuple[list[StoredEnquiry], list[str]]:
        """Have these judged once more: those that will be, and why others will not (Russian)."""
        done: dict[int, StoredEnquiry] = {}
        errors: list[str] = []
        for number in dict.fromkeys(numbers):
            if number in done:
                continue
            try:
                done |= {row.id: row for row in self.retry(number, who)}
            except NotRetryable as error:
                errors.append(str(error))
        return list(done.values()), errors

    def retry(self, number: int, who: str) -> list[StoredEnquiry]:
        """Have it judged once more, with those that wait for the same person; returns all of them.

        Of one that amoCRM refused what was refused is sent again. Raises NotRetryable.
        """
        with self._store.write() as connection:
            mine = (self._store.owns(enquiries), enquiries.c.id == number)
            known = _retryable(number, connection.execute(select(enquiries).where(*mine)).first())
            numbers = self._together(connection, known)
            again: dict[str, Any] = {"due_at": 0.0, "error": "", "done_at": None}
            if known.state == "refused" and self._send_again(connection, known, who):
                again |= {"state": "sent"}
            else:
                again |= {"state": "new", "outcome": "", "standing": "", "event_key": None}
                again |= {"attempts": enquiries.c.attempts + 1}
            # Whoever asks for the same just now must not have it judged twice.
            as_it_was = (enquiries.c.state == known.state, enquiries.c.attempts == known.attempts)
            if not connection.execute(update(enquiries).where(*mine, *as_it_was).values(**again)).rowcount:
                raise NotRetryable(f"обращение № {number} уже разбирается ещё раз")
            others = (self._store.owns(enquiries), enquiries.c.id.in_(numbers - {number}))
            connection.execute(update(enquiries).where(*others, enquiries.c.state == known.state).values(**again))
            notify(connection, self._store.account_id)
        return [row for one in sorted(numbers) if (row := self.get(one))]

    def _together(self, connection: Connection, known: StoredEnquiry) -> set[int]:
        """The numbers of those that became one event with it.

        Where a person was asked, of all that wait for him.
        """
        numbers = {known.id}
        mine = (self._store.owns(enquiries), enquiries.c.state == known.state)
        if known.event_key:
            same = select(enquiries.c.id).where(*mine, enquiries.c.event_key == known.event_key)
            numbers |= set(connection.execute(same).scalars())
        if known.state == "asked":
            table = enquiry_addresses.c
            owned = self._store.owns(enquiry_addresses)
            addresses = select(table.address).where(owned, table.enquiry_id.in_(numbers))
            of_person = select(table.enquiry_id).where(owned, table.address.in_(addresses))
            numbers |= set(
                connection.execute(select(enquiries.c.id).where(*mine, enquiries.c.id.in_(of_person))).scalars()
            )
        return numbers

    def _send_again(self, connection: Connection, known: StoredEnquiry, who: str) -> bool:
        """Put what was given up back into work; False if it was never decided what is to be done."""
        mine = (self._store.owns(events), events.c.key == known.event_key)
        event = connection.execute(select(events.c.id, events.c.state, events.c.deal_id).where(*mine)).first()
        if event is None:
            return False
        effects = connection.execute(
            select(outbox.c.id, outbox.c.state).where(
                self._store.owns(outbox), outbox.c.deal_id == event.deal_id, outbox.c.event_id == event.id
            )
        ).all()
        names = [f"{EFFECT}{effect.id}" for effect in effects if effect.state in GAVE_UP]
        names += [f"{EVENT}{event.id}"] if event.state == "failed" else []
        if names:
            try:
                DeadLetters(self._store, self._clock).put_back(connection, names, who)
            except NotFailed as error:
                raise NotRetryable(f"обращение № {known.id}: {error}") from error
        return bool(effects or names)

    def _conditions(self, wanted: EnquiryFilter) -> list[ColumnElement[bool]]:
        column = enquiries.c
        found: list[ColumnElement[bool]] = [self._store.owns(enquiries)]
        if wanted.source:
            found.append(column.source == wanted.source)
        if wanted.state:
            found.append(column.state == wanted.state)
        found.append(column.kind == wanted.kind if wanted.kind else column.kind.in_(("enquiry", "call")))
        if wanted.since:
            found.append(column.received_at >= wanted.since.timestamp())
        if wanted.until:
            found.append(column.received_at < wanted.until.timestamp())
        if wanted.deal_id is not None:
            found.append(column.deal_id == wanted.deal_id)
        if typed := wanted.text.strip():
            found.append(self._is_of(typed))
        if typed := wanted.words.strip():
            # The body is JSON as it is written by ``add``. Databases compare letters as they are.
            forms = dict.fromkeys([typed, typed.lower(), typed.capitalize()])
            said = [column.body.contains(json.dumps(form, ensure_ascii=False)[1:-1], autoescape=True) for form in forms]
            told = [place.contains(typed, autoescape=True) for place in (column.outcome, column.error)]
            found.append(or_(self._is_of(typed), *said, *told))
        return found

    def _is_of(self, typed: str) -> ColumnElement[bool]:
        """Those of whoever has this phone, address or profile."""
        keys = {key for key in (e164(typed, self._home), mail_key(typed), typed) if key}
        mine = (self._store.owns(enquiry_addresses), enquiry_addresses.c.address.in_(keys))
        return enquiries.c.id.in_(select(enquiry_addresses.c.enquiry_id).where(*mine))


def _retryable(number: int, row: Row[Any] | None) -> StoredEnquiry:
    """Raises NotRetryable."""
    if row is None:
        raise NotRetryable(f"обращения № {number} нет")
    known = _stored(row)
    if known.state in OPEN_ENQUIRY_STATES:
        raise NotRetryable(f"обращение № {number} ещё в работе")
    if known.state == "done":
        raise NotRetryable(f"обращение № {number} уже разобрано: {known.outcome}")
    if known.kind not in ("enquiry", "call"):
        raise NotRetryable(f"№ {number} — не обращение и не звонок")
    return known


def addresses_of(outcome: Stored, home: str = HOME) -> tuple[str, ...]:
    """By what its person is known: phones in E.164, mails, the profile, the number at a messenger."""
    if isinstance(outcome, PbxCall):
        own = (e164(outcome.phone, home),) if outcome.phone else ()
        known = addresses_of(outcome.enquiry, home) if outcome.enquiry else ()
        return tuple(dict.fromkeys(one for one in (*own, *known) if one))
    if not isinstance(outcome, Enquiry):
        return ()
    phones = (e164(phone, home) for phone in outcome.phones)
    mails = (mail_key(mail) for mail in outcome.emails)
    numbers = (f"{name}:{number}" for name in MESSENGER_NUMBERS if (number := outcome.extra.get(name)))
    found = (one[:LONGEST_ADDRESS] for one in (*phones, *mails, outcome.profile, *numbers) if one)
    return tuple(dict.fromkeys(found))


def _stored(row: Row[Any]) -> StoredEnquiry:
    return StoredEnquiry(
        id=row.id,
        kind=row.kind,
        source=row.source,
        key=row.key,
        request_id=row.request_id,
        received_at=row.received_at,
        body=from_json(row.kind, json.loads(row.body)),
        state=row.state,
        standing=row.standing,
        outcome=row.outcome,
        error=row.error,
        attempts=row.attempts,
        event_key=row.event_key,
        contact_id=row.contact_id,
        deal_id=row.deal_id,
    )
