"""Contacts' index: each contact in the form in which phones, mails and surnames are compared.

Contacts that events name are read afresh; those that no event named are found by their time of change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from itertools import takewhile
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self

from sqlalchemy import delete, func, select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.account_fit import contact_fields
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import contacts_by_ids
from amo_bridge.crm.records import EPOCH, ContactRecord, from_plain, to_plain
from amo_bridge.errors import CrmForbidden
from amo_bridge.events import ClientDeleted, ClientReported, Event
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.storage.accounts import CONTACTS_FILLED, Cursors
from amo_bridge.storage.database import AccountStore, chunks, insert_new, insert_or_replace
from amo_bridge.storage.tables import contact_keys, contacts
from amo_bridge.text.addresses import HOME, e164, mail_key, mails_in, numbers_in
from amo_bridge.text.names import normalise

NO_FIELDS: Mapping[int, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class MirroredContact:
    """A contact as last seen. ``phones`` in E.164 («+79161234567») and ``mails`` in lower case, comparable; numbers
    that are none are left out. ``fields``: field id → texts, only of the fields that are kept (``[contacts]`` of the
    config)."""

    id: int
    name: str = ""
    surname: str = ""
    responsible_user_id: int = 0
    company_id: int | None = None
    phones: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    deal_ids: tuple[int, ...] = ()
    fields: Mapping[int, tuple[str, ...]] = field(default_factory=lambda: NO_FIELDS, hash=False)
    updated_at: datetime = EPOCH

    @classmethod
    def of(cls, record: ContactRecord, kept_fields: Iterable[int] = (), home: str = HOME) -> Self:
        """What is kept of a contact that was read. ``home``: the country of phones typed without one."""
        return cls(
            id=record.id,
            name=record.name,
            surname=record.last_name,
            responsible_user_id=record.responsible_user_id,
            company_id=record.company_id,
            phones=_each_once(numbers_in(cell, home) for cell in record.phones),
            mails=_each_once(mails_in(cell) for cell in record.emails),
            deal_ids=record.deal_ids,
            fields={
                number: tuple(_as_text(value) for value in record.fields[number])
                for number in kept_fields
                if record.fields.get(number)
            },
            updated_at=record.updated_at,
        )

    @property
    def surname_keys(self) -> tuple[str, ...]:
        """By what the surname is found: the surname, where amoCRM has it apart; else every word of the name, as people
        type «Иванова Анна» and «Анна Иванова»."""
        return tuple(dict.fromkeys(normalise(self.surname or self.name).split()))

    def has(self, field_id: int, value: str) -> bool:
        """Is this one of the field's values (case and «ё» forgiven)? A field that is not kept has none."""
        return normalise(value) in {normalise(one) for one in self.fields.get(field_id, ())}

    def covers(self, event: ClientReported, kept_fields: Iterable[int] = (), home: str = HOME) -> bool:
        """Is what the event says already known here? amoCRM's times have whole seconds, so within the same second the
        contents decide. An event that tells no contents says of the same second nothing that could be known."""
        if event.at is None or event.at > self.updated_at:
            return False
        return event.at < self.updated_at or self._agrees(event, kept_fields, home)

    def _agrees(self, event: ClientReported, kept_fields: Iterable[int], home: str) -> bool:
        texts = {field.field_id: tuple(text for text, _ in field.values) for field in event.fields}
        told_phones, told_mails = (
            [text for field in event.fields if field.code == code for text, _ in field.values]
            for code in ("PHONE", "EMAIL")
        )
        pairs = (
            (event.name, self.name),
            (event.responsible_user_id or 0, self.responsible_user_id),
            (event.company_id, self.company_id),
            (set(event.deal_ids), set(self.deal_ids)),
            (set(_each_once(numbers_in(cell, home) for cell in told_phones)), set(self.phones)),
            (set(_each_once(mails_in(cell) for cell in told_mails)), set(self.mails)),
            ({number: texts[number] for number in kept_fields if texts.get(number)}, dict(self.fields)),
        )
        return all(told == known for told, known in pairs)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without what is empty: there may be a hundred thousand of them."""
        return {key: value for key, value in to_plain(self).items() if value}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """The contact that ``to_json`` told of."""
        return cls(**from_plain(cls, told))


def _each_once(some: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for each in some for one in each))


# The contacts' index: who has this phone, this mail, this surname — without asking amoCRM.
#
# amoCRM's own search compares phones as they were typed, finds parts of numbers, and lags behind (amoCRM docs,
# contacts-api; seen by clients). Here phones are E.164 and mails in lower case: «8 (916) 123-45-67» finds
# «+79161234567».

Kind = Literal["phone", "mail", "surname"]

LONGEST_KEY = 120
# Sorts behind every letter: what begins with «ива» lies between «ива» and this.
_END = "\U0010ffff"


class Renewed(NamedTuple):
    """A contact as it was known (None: it was not) and as it is known now."""

    before: MirroredContact | None
    now: MirroredContact

    @property
    def counts_anew(self) -> bool:
        """Are the kept fields others than before, or the deals that they may count for?"""
        old = (self.before.fields, self.before.deal_ids) if self.before else (NO_FIELDS, ())
        return bool(self.now.fields or old[0]) and (self.now.fields, self.now.deal_ids) != old


def _as_text(value: object) -> str:
    return str(value.get("value", value)) if isinstance(value, Mapping) else str(value)


class ContactIndex:
    """One account's contacts. Nothing here asks amoCRM; ``is_filled`` says whether all contacts have been read once.

    ``home``: the country of phones typed without one. All reads raise StoreUnavailable when the store is."""

    def __init__(self, store: AccountStore, home: str = HOME) -> None:
        self._store = store
        self._home = home
        self._cursors = Cursors(store)

    @property
    def is_filled(self) -> bool:
        """While it is not, somebody who is not found may be in amoCRM all the same."""
        return self._cursors.read(CONTACTS_FILLED) is not None

    def count(self) -> int:
        with self._store.read() as connection:
            mine = self._store.owns(contacts)
            return connection.execute(select(func.count()).select_from(contacts).where(mine)).scalar_one()

    def get(self, contact_ids: Iterable[int]) -> dict[int, MirroredContact]:
        """Those of the contacts that are known."""
        with self._store.read() as connection:
            return known_contacts(connection, self._store.account_id, contact_ids)

    def by_phones(self, typed: Iterable[str]) -> dict[str, tuple[MirroredContact, ...]]:
        """Who has these phones, typed in whatever way: the phone as typed → contacts, the lowest id first. What nobody
        has, and what is no number, is left out."""
        return self._by_keys("phone", {text: key for text in typed if (key := e164(text, self._home))})

    def by_mails(self, typed: Iterable[str]) -> dict[str, tuple[MirroredContact, ...]]:
        """Who has these addresses: the address as typed → contacts, the lowest id first."""
        return self._by_keys("mail", {text: key for text in typed if (key := mail_key(text))})

    def by_surname(
        self, letters: str, *, field_id: int | None = None, value: str = "", most: int = 20
    ) -> list[MirroredContact]:
        """Whose surname begins with these letters, sorted by name; case and «ё» are forgiven.

        ``field_id`` and ``value``: only those with this value in a kept field («Классификация» = «блогер»). Several
        words must all fit: «ива анн».
        """
        words = normalise(letters).split()
        if not words:
            return []
        with self._store.read() as connection:
            found = known_contacts(connection, self._store.account_id, self._beginning_with(connection, words[0]))
        fitting = [
            one
            for one in found.values()
            if _fits(one, words) and (field_id is None or one.has(field_id, value))
        ]  # fmt: skip
        return sorted(fitting, key=lambda one: (normalise(one.name), one.id))[:most]

    def put(self, connection: Connection, read: Iterable[MirroredContact], read_at: datetime) -> list[Renewed]:
        """Keep what was read; a copy that is newer than what was read stays. Returns those whose kept fields or deals
        are others than before."""
        told = {one.id: one for one in read}
        known = known_contacts(connection, self._store.account_id, told)
        newer = [
            one for one in told.values() if one.id not in known or one.updated_at >= known[one.id].updated_at
        ]  # fmt: skip
        _drop_keys(connection, self._store.account_id, [one.id for one in newer if one.id in known])
        insert_or_replace(
            connection, contacts, ("account", "contact_id"), [self._row(one, read_at) for one in newer]
        )  # fmt: skip
        insert_new(connection, contact_keys, [row for one in newer for row in self._key_rows(one)])
        renewed = [Renewed(known.get(one.id), one) for one in newer]
        return [one for one in renewed if one.counts_anew]

    def link(self, connection: Connection, links: Iterable[tuple[int, int]], read_at: datetime) -> None:
        """Contacts that the bridge itself gave a deal: (contact id, deal id). Those not known here are left out."""
        deals: dict[int, list[int]] = {}
        for contact_id, deal_id in links:
            deals.setdefault(contact_id, []).append(deal_id)
        known = known_contacts(connection, self._store.account_id, deals)
        linked = [
            replace(one, deal_ids=tuple(dict.fromkeys((*one.deal_ids, *deals[one.id])))) for one in known.values()
        ]  # fmt: skip
        insert_or_replace(connection, contacts, ("account", "contact_id"), [self._row(one, read_at) for one in linked])

    def forget(self, connection: Connection, contact_ids: Iterable[int]) -> None:
        """See ``forget_contacts``."""
        forget_contacts(connection, self._store.account_id, contact_ids)

    def _by_keys(self, kind: Kind, keys: Mapping[str, str]) -> dict[str, tuple[MirroredContact, ...]]:
        with self._store.read() as connection:
            ids = self._ids(connection, kind, sorted(set(keys.values())))
            known = known_contacts(connection, self._store.account_id, [one for some in ids.values() for one in some])
        owners = {text: tuple(known[one] for one in ids.get(key, ()) if one in known) for text, key in keys.items()}
        return {text: found for text, found in owners.items() if found}

    def _ids(self, connection: Connection, kind: Kind, keys: Sequence[str]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for chunk in chunks(keys):
            mine = (self._store.owns(contact_keys), contact_keys.c.kind == kind)
            rows = connection.execute(
                select(contact_keys.c.key, contact_keys.c.contact_id)
                .where(*mine, contact_keys.c.key.in_(chunk))
                .order_by(contact_keys.c.contact_id)
            )
            for row in rows:
                found.setdefault(row.key, []).append(row.contact_id)
        return found

    def _beginning_with(self, connection: Connection, letters: str) -> list[int]:
        mine = (self._store.owns(contact_keys), contact_keys.c.kind == "surname")
        begins = (contact_keys.c.key >= letters, contact_keys.c.key < letters + _END)
        return list(connection.execute(select(contact_keys.c.contact_id).where(*mine, *begins)).scalars())

    def _row(self, one: MirroredContact, read_at: datetime) -> dict[str, Any]:
        return {
            "account": self._store.account_id,
            "contact_id": one.id,
            "updated_at": one.updated_at.timestamp(),
            "read_at": read_at.timestamp(),
            "record": json.dumps(one.to_json(), ensure_ascii=False),
        }

    def _key_rows(self, one: MirroredContact) -> list[dict[str, Any]]:
        keys: dict[Kind, Iterable[str]] = {"phone": one.phones, "mail": one.mails, "surname": one.surname_keys}
        return [
            {"account": self._store.account_id, "kind": kind, "key": key[:LONGEST_KEY], "contact_id": one.id}
            for kind, own in keys.items()
            for key in own
        ]


def known_contacts(connection: Connection, account: int, contact_ids: Iterable[int]) -> dict[int, MirroredContact]:
    """Those of the contacts that are known."""
    found = {}
    for chunk in chunks(sorted(set(contact_ids))):
        mine = (contacts.c.account == account, contacts.c.contact_id.in_(chunk))
        for row in connection.execute(select(contacts.c.contact_id, contacts.c.record).where(*mine)):
            found[row.contact_id] = MirroredContact.from_json(json.loads(row.record))
    return found


def deals_of_contacts(connection: Connection, account: int, contact_ids: Iterable[int]) -> dict[int, Sequence[int]]:
    """Contact → its deals, of those that are known: a report of hundreds needs nothing else of them."""
    found: dict[int, Sequence[int]] = {}
    for chunk in chunks(sorted(set(contact_ids))):
        mine = (contacts.c.account == account, contacts.c.contact_id.in_(chunk))
        for row in connection.execute(select(contacts.c.contact_id, contacts.c.record).where(*mine)):
            found[row.contact_id] = json.loads(row.record).get("deal_ids") or ()
    return found


def forget_contacts(connection: Connection, account: int, contact_ids: Iterable[int]) -> None:
    """Contacts that are deleted, merged into others, or not to be seen any more."""
    ids = sorted(set(contact_ids))
    _drop_keys(connection, account, ids)
    for chunk in chunks(ids):
        connection.execute(delete(contacts).where(contacts.c.account == account, contacts.c.contact_id.in_(chunk)))


def _drop_keys(connection: Connection, account: int, ids: Sequence[int]) -> None:
    for chunk in chunks(ids):
        old = (contact_keys.c.account == account, contact_keys.c.contact_id.in_(chunk))
        connection.execute(delete(contact_keys).where(*old))


def _fits(one: MirroredContact, words: Sequence[str]) -> bool:
    own = [*one.surname_keys, *normalise(one.name).split()]
    return all(any(mine.startswith(word) for mine in own) for word in words)


PAGE = 250


class ContactRefresher:
    """``kept_fields``: ids of the fields that are kept; ``home``: the country of phones typed without one.
    ``renewed`` is told, within the transaction, of contacts whose kept fields or deals have changed."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        clock: Clock,
        *,
        filter_enabled: bool = False,
        kept_fields: Sequence[int] = (),
        home: str = HOME,
    ) -> None:
        self.index = ContactIndex(store, home)
        self.renewed: Callable[[Connection, Sequence[Renewed]], None] = lambda connection, contacts: None
        self._store = store
        self._client = client
        self._clock = clock
        self._filter_enabled = filter_enabled
        self.kept_fields = tuple(kept_fields)
        self._home = home

    @classmethod
    def of(cls, store: AccountStore, client: CrmClient, clock: Clock, config: Config, account: Account) -> Self:
        """Kept are the fields that the config speaks of; numbers without a country are the calendar's country's."""
        return cls(
            store,
            client,
            clock,
            filter_enabled=account.is_api_filter_enabled,
            kept_fields=contact_fields(config, account),
            home=config.calendar.country or HOME,
        )

    def refresh_reported(self, told: Iterable[Event]) -> None:
        """Read the contacts that hooks spoke of, unless the index knows as much. Raises CrmError."""
        heard = [
            event
            for event in told
            if isinstance(event, ClientReported) and event.kind == "contact" and not isinstance(event, ClientDeleted)
        ]
        known = self.index.get(event.client_id for event in heard)
        news = {
            event.client_id
            for event in heard
            if event.client_id not in known or not known[event.client_id].covers(event, self.kept_fields, self._home)
        }
        if news:
            self._read(news)
        if merged := {event.client_id for event in heard if event.raw.get("type") == "entity_merged"}:
            # amoCRM names only who is left: whoever shared a phone or a mail with him may be gone.
            self._read(self._twins(merged))

    def read_unknown(self, contact_ids: Iterable[int]) -> None:
        """Read those whom the index does not know. Raises CrmError."""
        wanted = set(contact_ids)
        self._read(wanted - self.index.get(wanted).keys())

    def catch_up(self, since: datetime, passed: int = 0) -> int | None:
        """As ``read_changed``; contacts that we may not see count as read. Raises CrmError."""
        try:
            return self.read_changed(since, passed)
        except CrmForbidden as error:
            # A token without a right to contacts must not keep the bridge from everything else.
            log.error("contacts can't be read", error=str(error))
            return None

    def read_changed(self, since: datetime, passed: int = 0) -> int | None:
        """Find who changed since then (amoCRM's clock), newest first: a page after the first ``passed`` rows. Returns
        how many are passed now, None when there are no more. Raises CrmError."""
        params = {"order": {"updated_at": "desc"}, "with": "leads"}
        page = self._client.page("/api/v4/contacts", params, "contacts", passed, PAGE)
        records = [ContactRecord.from_api(row) for row in page.rows]
        changed = list(takewhile(lambda record: record.updated_at >= since, records))
        self.keep(changed)
        return page.ends_at if len(changed) == len(records) else None

    def keep(self, records: Sequence[ContactRecord]) -> None:
        """Put what was read into the index."""
        if records:
            with self._store.write() as connection:
                self.put(connection, records)

    def put(self, connection: Connection, records: Sequence[ContactRecord]) -> None:
        """As ``keep``, within a transaction."""
        told = [MirroredContact.of(record, self.kept_fields, self._home) for record in records]
        if changed := self.index.put(connection, told, self._clock.now()):
            self.renewed(connection, changed)

    def _twins(self, contact_ids: Iterable[int]) -> set[int]:
        known = self.index.get(contact_ids).values()
        by_phone = self.index.by_phones(phone for one in known for phone in one.phones)
        by_mail = self.index.by_mails(mail for one in known for mail in one.mails)
        found = {one.id for owners in (*by_phone.values(), *by_mail.values()) for one in owners}
        return found - {one.id for one in known}

    def _read(self, contact_ids: set[int]) -> None:
        if not contact_ids:
            return
        try:
            found = contacts_by_ids(self._client, contact_ids, self._filter_enabled)
        except CrmForbidden as error:
            log.error("contacts can't be read", error=str(error))
            return
        self.keep(list(found.values()))
        if gone := contact_ids - found.keys():
            with self._store.write() as connection:
                self.index.forget(connection, gone)
