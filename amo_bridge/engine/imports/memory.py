"""What earlier imports have done, and columns that somebody has named: what need not be asked or written again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TypeVar

from sqlalchemy import ColumnElement, exists, func, select

from amo_bridge.engine.imports.records import Kept, State, kept_of, said_of
from amo_bridge.engine.imports.steps import wrote
from amo_bridge.storage.database import Store, chunks, insert_or_replace
from amo_bridge.storage.tables import OPEN_IMPORT_STATES, import_columns, import_rows, imports
from amo_bridge.webinars.attendees import key_of
from amo_bridge.webinars.columns import Field
from amo_bridge.webinars.figures import Told
from amo_bridge.webinars.plan import Override

Key = TypeVar("Key", str, int)
# An import that was undone has left nothing that could be there already.
COUNTS: tuple[State, ...] = ("running", "paused", "done")


class ImportMemory:
    def __init__(self, store: Store, account: int) -> None:
        self._store = store
        self._account = account

    def told(self, held_on: date, keys: Iterable[str]) -> dict[str, Told]:
        """What was done about these people for a webinar of that day: person's key → all that is known of it."""
        return self._told(held_on, import_rows.c.person_key, keys)

    def told_of(self, held_on: date, contact_ids: Iterable[int]) -> dict[int, Told]:
        """The same by the contact: another kind of file may know the person by another address."""
        return self._told(held_on, import_rows.c.contact_id, contact_ids)

    def _told(self, held_on: date, column: ColumnElement[Key], wanted: Iterable[Key]) -> dict[Key, Told]:
        found: dict[Key, Told] = {}
        same_day = (
            imports.c.account == self._account, imports.c.held_on == held_on.isoformat(), imports.c.state.in_(COUNTS),
        )  # fmt: skip
        query = select(import_rows, column.label("asked")).join(imports, imports.c.id == import_rows.c.import_id)
        query = query.where(*same_day, import_rows.c.state == "done").order_by(import_rows.c.id)
        with self._store.read() as connection:
            for some in chunks(sorted(set(wanted))):
                for row in connection.execute(query.where(column.in_(some))):
                    found[row.asked] = _after(found.get(row.asked), kept_of(row), row.import_id)
        return found

    def elsewhere(self, number: int, key: str, held_on: date) -> int | None:
        """Another import that has this person of this day, or is at work on him for any day; None if there is none."""
        mine = (import_rows.c.account == self._account, import_rows.c.person_key == key)
        done = (
            (imports.c.held_on == held_on.isoformat()) & (import_rows.c.state == "done") & imports.c.state.in_(COUNTS)
        )
        query = select(func.min(imports.c.id)).join(import_rows, imports.c.id == import_rows.c.import_id)
        query = query.where(*mine, imports.c.id != number, done | import_rows.c.state.in_(OPEN_IMPORT_STATES))
        with self._store.read() as connection:
            found: int | None = connection.execute(query).scalar_one()
        return found

    def shared_with(self, number: int) -> int | None:
        """Another import that is not done yet with somebody of this one; None if there is none."""
        mine, theirs = import_rows.alias(), import_rows.alias()
        same = (theirs.c.account == mine.c.account) & (theirs.c.person_key == mine.c.person_key)
        query = select(func.min(theirs.c.import_id)).select_from(mine.join(theirs, same))
        query = query.where(mine.c.account == self._account, mine.c.import_id == number)
        query = query.where(theirs.c.import_id != number, theirs.c.state.in_(OPEN_IMPORT_STATES))
        with self._store.read() as connection:
            found: int | None = connection.execute(query).scalar_one()
        return found

    def contacts(self, addresses: Iterable[str]) -> tuple[dict[str, int], dict[str, int]]:
        """Mail or phone → the contact that an import took its owner for; and those that a person named.

        Not among the first are contacts that the import itself gave the address: whoever took it off again knew why.
        """
        keys = {key_of(address): address for address in addresses}
        rows = import_rows.c
        query = select(rows.person_key, rows.contact_id, rows.said, rows.made_contact, rows.contact_was)
        query = query.join(imports, imports.c.id == rows.import_id).order_by(rows.id)
        mine = (imports.c.account == self._account, imports.c.state.in_(COUNTS), rows.state == "done")
        earlier: dict[str, int] = {}
        decided: dict[str, int] = {}
        with self._store.read() as connection:
            for some in chunks(sorted(keys)):
                wanted = (rows.account == self._account, rows.person_key.in_(some), rows.contact_id.is_not(None))
                for row in connection.execute(query.where(*mine, *wanted)):
                    address = keys[row.person_key]
                    if said_of(row.said).contact_id:
                        decided[address] = row.contact_id
                    if not row.made_contact and row.contact_was is None:
                        earlier[address] = row.contact_id
        return earlier, decided

    def same_file(self, digest: str, states: Sequence[State]) -> int | None:
        """The import that this very file was part of, if that is in one of these ``states``."""
        return self._with_file(digest, imports.c.state.in_(states))

    def loaded_by(self, digest: str) -> int | None:
        """The import that loads this very file, or has done so: not one that found nothing to write."""
        mine = (import_rows.c.import_id == imports.c.id, import_rows.c.state == "done", wrote())
        is_vain = (imports.c.state == "done") & ~exists().where(*mine)
        return self._with_file(digest, imports.c.state.in_(COUNTS), ~is_vain)

    def _with_file(self, digest: str, *conditions: ColumnElement[bool]) -> int | None:
        query = select(imports.c.id, imports.c.files).where(imports.c.account == self._account, *conditions)
        with self._store.read() as connection:
            for row in connection.execute(query.order_by(imports.c.id)):
                if any(file["digest"] == digest for file in json.loads(row.files)):
                    return int(row.id)
        return None

    def drafts_of(self, digests: Iterable[str], held_on: date, but: int) -> dict[str, int]:
        """Other drafts of these very files for the same webinar: digest → the latest of them."""
        wanted = set(digests)
        mine = (imports.c.account == self._account, imports.c.state == "draft", imports.c.id != but)
        query = select(imports.c.id, imports.c.files).where(*mine, imports.c.held_on == held_on.isoformat())
        with self._store.read() as connection:
            found = connection.execute(query.order_by(imports.c.id)).all()
        return {
            file["digest"]: int(row.id) for row in found for file in json.loads(row.files) if file["digest"] in wanted
        }

    def columns(self) -> dict[str, Mapping[Field, str]]:
        """All that was named: signature of a table → field → its column's title."""
        query = select(import_columns).where(import_columns.c.account == self._account)
        with self._store.read() as connection:
            return {row.signature: json.loads(row.columns) for row in connection.execute(query)}

    def remember_columns(self, signature: str, columns: Mapping[Field, str]) -> None:
        """For this table and all that have the same header."""
        told = json.dumps(dict(columns), ensure_ascii=False)
        row = {"account": self._account, "signature": signature, "columns": told}
        with self._store.write() as connection:
            insert_or_replace(connection, import_columns, ("account", "signature"), [row])


def _after(before: Told | None, kept: Kept, import_id: int) -> Told:
    """The latest is what stands in amoCRM; what its file did not know stands there from before."""
    figures = kept.row.figures.beside(before.figures) if before else kept.row.figures
    by_hand = kept.said != Override() or (before is not None and before.by_hand)
    return Told(import_id, kept.contact_id, kept.deal_id, figures, by_hand)
