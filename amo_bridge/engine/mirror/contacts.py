"""The contacts' index: who has this phone, this mail, this surname — without asking amoCRM.

amoCRM's own search compares phones as they were typed, finds parts of numbers, and lags behind (amoCRM docs,
contacts-api; seen by clients). Here phones are E.164 and mails in lower case: «8 (916) 123-45-67» finds «+79161234567».
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, Self

from sqlalchemy import delete, func, select
from sqlalchemy.engine import Connection

from amo_bridge.crm.entities import EPOCH, ContactRecord
from amo_bridge.engine.cursors import Cursors
from amo_bridge.engine.rows import insert_new, insert_or_replace
from amo_bridge.engine.store import Store, contact_keys, contacts
from amo_bridge.mails import mail_key, mails_in
from amo_bridge.names import normalise
from amo_bridge.phones import HOME, e164, numbers_in

Kind = Literal["phone", "mail", "surname"]

FILLED = "contacts_filled"
# Both databases limit the parameters of one statement (SQLite: 32,766); well below that.
CHUNK = 500
LONGEST_KEY = 120
# Sorts behind every letter: what begins with «ива» lies between «ива» and this.
_END = "\U0010ffff"
NO_FIELDS: Mapping[int, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class IndexedContact:
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
                number: tuple(str(value) for value in record.fields[number])
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


class ContactIndex:
    """One account's contacts. Nothing here asks amoCRM; ``is_filled`` says whether all contacts have been read once.

    ``home``: the country of phones typed without one. All reads raise StoreUnavailable when the store is."""

    def __init__(self, store: Store, account: int, home: str = HOME) -> None:
        self._store = store
        self._account = account
        self._home = home
        self._cursors = Cursors(store, account)

    @property
    def is_filled(self) -> bool:
        """While it is not, somebody who is not found may be in amoCRM all the same."""
        return self._cursors.read(FILLED) is not None

    def count(self) -> int:
        with self._store.read() as connection:
            mine = contacts.c.account == self._account
            return connection.execute(select(func.count()).select_from(contacts).where(mine)).scalar_one()

    def get(self, contact_ids: Iterable[int]) -> dict[int, IndexedContact]:
        """Those of the contacts that are known."""
        with self._store.read() as connection:
            return self._get(connection, contact_ids)

    def by_phones(self, typed: Iterable[str]) -> dict[str, tuple[IndexedContact, ...]]:
        """Who has these phones, typed in whatever way: the phone as typed → contacts, the lowest id first. What nobody
        has, and what is no number, is left out."""
        return self._by_keys("phone", {text: key for text in typed if (key := e164(text, self._home))})

    def by_mails(self, typed: Iterable[str]) -> dict[str, tuple[IndexedContact, ...]]:
        """Who has these addresses: the address as typed → contacts, the lowest id first."""
        return self._by_keys("mail", {text: key for text in typed if (key := mail_key(text))})

    def by_surname(
        self, letters: str, *, field_id: int | None = None, value: str = "", most: int = 20
    ) -> list[IndexedContact]:
        """Whose surname begins with these letters, sorted by name; case and «ё» are forgiven.

        ``field_id`` and ``value``: only those with this value in a kept field («Классификация» = «блогер»). Several
        words must all fit: «ива анн».
        """
        words = normalise(letters).split()
        if not words:
            return []
        with self._store.read() as connection:
            found = self._get(connection, self._beginning_with(connection, words[0]))
        fitting = [
            one
            for one in found.values()
            if _fits(one, words) and (field_id is None or one.has(field_id, value))
        ]  # fmt: skip
        return sorted(fitting, key=lambda one: (normalise(one.name), one.id))[:most]

    def put(self, connection: Connection, read: Iterable[IndexedContact], read_at: datetime) -> None:
        """Keep what was read; a copy that is newer than what was read stays."""
        told = {one.id: one for one in read}
        known = self._get(connection, told)
        newer = [
            one for one in told.values() if one.id not in known or one.updated_at >= known[one.id].updated_at
        ]  # fmt: skip
        self._drop_keys(connection, [one.id for one in newer if one.id in known])
        insert_or_replace(
            connection, contacts, ("account", "contact_id"), [self._row(one, read_at) for one in newer]
        )  # fmt: skip
        insert_new(connection, contact_keys, [row for one in newer for row in self._key_rows(one)])

    def forget(self, connection: Connection, contact_ids: Iterable[int]) -> None:
        """Contacts that are deleted, merged into others, or not to be seen any more."""
        ids = sorted(set(contact_ids))
        self._drop_keys(connection, ids)
        for chunk in _chunks(ids):
            gone = (contacts.c.account == self._account, contacts.c.contact_id.in_(chunk))
            connection.execute(delete(contacts).where(*gone))

    def _by_keys(self, kind: Kind, keys: Mapping[str, str]) -> dict[str, tuple[IndexedContact, ...]]:
        with self._store.read() as connection:
            ids = self._ids(connection, kind, sorted(set(keys.values())))
            known = self._get(connection, [one for some in ids.values() for one in some])
        owners = {text: tuple(known[one] for one in ids.get(key, ()) if one in known) for text, key in keys.items()}
        return {text: found for text, found in owners.items() if found}

    def _ids(self, connection: Connection, kind: Kind, keys: Sequence[str]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for chunk in _chunks(keys):
            mine = (contact_keys.c.account == self._account, contact_keys.c.kind == kind)
            rows = connection.execute(
                select(contact_keys.c.key, contact_keys.c.contact_id)
                .where(*mine, contact_keys.c.key.in_(chunk))
                .order_by(contact_keys.c.contact_id)
            )
            for row in rows:
                found.setdefault(row.key, []).append(row.contact_id)
        return found

    def _beginning_with(self, connection: Connection, letters: str) -> list[int]:
        mine = (contact_keys.c.account == self._account, contact_keys.c.kind == "surname")
        begins = (contact_keys.c.key >= letters, contact_keys.c.key < letters + _END)
        return list(connection.execute(select(contact_keys.c.contact_id).where(*mine, *begins)).scalars())

    def _get(self, connection: Connection, contact_ids: Iterable[int]) -> dict[int, IndexedContact]:
        found = {}
        for chunk in _chunks(sorted(set(contact_ids))):
            mine = (contacts.c.account == self._account, contacts.c.contact_id.in_(chunk))
            for row in connection.execute(select(contacts.c.contact_id, contacts.c.record).where(*mine)):
                found[row.contact_id] = _from_json(row.contact_id, json.loads(row.record))
        return found

    def _row(self, one: IndexedContact, read_at: datetime) -> dict[str, Any]:
        return {
            "account": self._account,
            "contact_id": one.id,
            "updated_at": one.updated_at.timestamp(),
            "read_at": read_at.timestamp(),
            "record": json.dumps(_to_json(one), ensure_ascii=False),
        }

    def _key_rows(self, one: IndexedContact) -> list[dict[str, Any]]:
        keys: dict[Kind, Iterable[str]] = {"phone": one.phones, "mail": one.mails, "surname": one.surname_keys}
        return [
            {"account": self._account, "kind": kind, "key": key[:LONGEST_KEY], "contact_id": one.id}
            for kind, own in keys.items()
            for key in own
        ]

    def _drop_keys(self, connection: Connection, ids: Sequence[int]) -> None:
        for chunk in _chunks(ids):
            old = (contact_keys.c.account == self._account, contact_keys.c.contact_id.in_(chunk))
            connection.execute(delete(contact_keys).where(*old))


def _fits(one: IndexedContact, words: Sequence[str]) -> bool:
    own = [*one.surname_keys, *normalise(one.name).split()]
    return all(any(mine.startswith(word) for mine in own) for word in words)


def _each_once(some: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for each in some for one in each))


def _to_json(one: IndexedContact) -> dict[str, Any]:
    """Short keys: there may be a hundred thousand of them."""
    told = {
        "name": one.name,
        "surname": one.surname,
        "responsible": one.responsible_user_id,
        "company": one.company_id,
        "phones": one.phones,
        "mails": one.mails,
        "deals": one.deal_ids,
        "fields": dict(one.fields),
        "updated": int(one.updated_at.timestamp()),
    }
    return {key: value for key, value in told.items() if value}


def _from_json(contact_id: int, told: Mapping[str, Any]) -> IndexedContact:
    return IndexedContact(
        id=contact_id,
        name=told.get("name", ""),
        surname=told.get("surname", ""),
        responsible_user_id=told.get("responsible", 0),
        company_id=told.get("company"),
        phones=tuple(told.get("phones", ())),
        mails=tuple(told.get("mails", ())),
        deal_ids=tuple(told.get("deals", ())),
        fields={int(number): tuple(values) for number, values in told.get("fields", {}).items()},
        updated_at=datetime.fromtimestamp(told.get("updated", 0), UTC),
    )


def _chunks(ids: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
