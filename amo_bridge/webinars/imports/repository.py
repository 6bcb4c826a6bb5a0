"""The imports in the store: drafts, their people, what state each is in. Nothing here asks amoCRM."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.errors import BridgeError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, chunks, insert_or_replace
from amo_bridge.storage.tables import OPEN_IMPORT_STATES, import_columns, import_rows, imports
from amo_bridge.webinars.attendees import Attendee, key_of
from amo_bridge.webinars.formats.tables import NO_COLUMN, Field
from amo_bridge.webinars.imports.model import (
    Counts,
    Import,
    ImportRow,
    State,
    import_of,
    import_row,
    override_json,
    override_of,
    person_json,
    planned_json,
    wrote,
)
from amo_bridge.webinars.plan import Override, Row
from amo_bridge.webinars.sorting import KnownFigures

NOW_WORDS: Mapping[State, str] = {
    "draft": "ещё не начата", "running": "идёт", "paused": "на паузе", "done": "уже закончена",
    "undoing": "отменяется", "undone": "уже отменена", "dropped": "удалена",
}  # fmt: skip
ACTIVE: tuple[State, ...] = ("running", "undoing")


class NoSuchImport(BridgeError):
    """There is no import with this number, no such row in it, or this can't be done with it now (Russian)."""


class NotNow(NoSuchImport):
    """It is there, and not in the state in which this can be done."""


@dataclass(frozen=True)
class ColumnAnswer:
    """What a person has said about tables with these headings: field → title of its column. ``titles`` are all its
    headings, empty for answers of an older bridge."""

    signature: str
    columns: Mapping[Field, str]
    titles: tuple[str, ...] = ()

    @property
    def finds_people(self) -> bool:
        """Whether it names the mail or the phone; if not, the table is understood without it."""
        return any(self.columns.get(name, NO_COLUMN) != NO_COLUMN for name in ("mail", "phone"))


class ImportRepository:
    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction for several of the changes below."""
        with self._store.write() as connection:
            yield connection

    # --- imports ---

    def add(
        self,
        held_on: date,
        title: str,
        files: Sequence[Mapping[str, Any]],
        plan: Sequence[Row],
        made_by: str,
        doubts: Sequence[str] = (),
    ) -> int:
        """Keep a draft; its number."""
        with self._store.write() as connection:
            draft = {
                "account": self._store.account_id, "state": "draft", "held_on": held_on.isoformat(), "title": title,
                "files": json.dumps(list(files), ensure_ascii=False), "made_at": self._clock.now().timestamp(),
                "made_by": made_by, "trouble": "", "doubts": json.dumps(list(doubts), ensure_ascii=False),
            }  # fmt: skip
            number = int(connection.execute(insert(imports).values(**draft).returning(imports.c.id)).scalar_one())
            rows = [self._new_row(number, place, row) for place, row in enumerate(plan, start=1)]
            for some in chunks(rows):
                connection.execute(insert(import_rows), some)
        return number

    def get(self, number: int) -> Import:
        """Raises NoSuchImport."""
        with self._store.read() as connection:
            row = connection.execute(select(imports).where(*self._one(number))).first()
        if row is None:
            raise _missing(number)
        return import_of(row)

    def all(self, most: int = 200) -> list[Import]:
        """The newest first."""
        query = select(imports).where(self._store.owns(imports), imports.c.state != "dropped")
        with self._store.read() as connection:
            return [import_of(row) for row in connection.execute(query.order_by(imports.c.id.desc()).limit(most))]

    def active(self) -> Import | None:
        """The oldest import that is being worked on."""
        mine = (self._store.owns(imports), imports.c.state.in_(ACTIVE))
        with self._store.read() as connection:
            row = connection.execute(select(imports).where(*mine).order_by(imports.c.id).limit(1)).first()
        return import_of(row) if row else None

    def expect(self, number: int, states: Iterable[State]) -> None:
        """Raises NoSuchImport; NotNow when it is in another state."""
        job = self.get(number)
        if job.state not in states:
            raise _not_now(number, job.state)

    def become(self, number: int, came_from: Iterable[State], state: State, **more: Any) -> None:
        """Change an import's state. Raises NotNow when it is in another than expected: two people at once."""
        with self._store.write() as connection:
            self.become_in(connection, number, came_from, state, **more)

    def become_in(
        self, connection: Connection, number: int, came_from: Iterable[State], state: State, **more: Any
    ) -> None:
        """As ``become``, within a transaction."""
        expected = imports.c.state.in_(list(came_from))
        changed = connection.execute(update(imports).where(*self._one(number), expected).values(state=state, **more))
        if changed.rowcount != 1:
            row = connection.execute(select(imports.c.state).where(*self._one(number))).first()
            raise _missing(number) if row is None else _not_now(number, row.state)

    def finish(self, number: int, came_from: State, state: State, ended: float) -> bool:
        """Unless somebody has decided about one more person meanwhile."""
        with self._store.write() as connection:
            # Held from here on: whoever decides now waits, and finds it finished.
            self.become_in(connection, number, [came_from], came_from)
            still = (
                select(import_rows.c.id)
                .where(*self._mine(number), import_rows.c.state.in_(OPEN_IMPORT_STATES))
                .limit(1)
            )
            if connection.execute(still).first() is not None:
                return False
            self.become_in(connection, number, [came_from], state, finished_at=ended, trouble="")
        return True

    def write_outage(self, number: int, words: str) -> None:
        """What the import is waiting out, if anything."""
        with self._store.write() as connection:
            connection.execute(update(imports).where(*self._one(number)).values(trouble=words))

    def drop(self, number: int) -> None:
        """Throw a draft away. Raises NotNow for one that was begun."""
        with self._store.write() as connection:
            self.become_in(connection, number, ["draft"], "dropped")
            connection.execute(delete(import_rows).where(import_rows.c.import_id == number))

    # --- rows ---

    def rows(
        self, number: int, *conditions: ColumnElement[bool], most: int | None = None, skip: int = 0
    ) -> list[ImportRow]:
        """An import's people in the file's order."""
        query = select(import_rows).where(*self._mine(number), *conditions).order_by(import_rows.c.number)
        with self._store.read() as connection:
            return [import_row(row) for row in connection.execute(query.limit(most).offset(skip))]

    def row(self, number: int, place: int) -> ImportRow:
        """Raises NoSuchImport."""
        found = self.rows(number, import_rows.c.number == place)
        if not found:
            raise NoSuchImport(f"в загрузке № {number} нет строки {place}")
        return found[0]

    def due(self, number: int, step: str, state: str, most: int) -> list[ImportRow]:
        """Rows that are to be worked on now."""
        now = self._clock.now().timestamp()
        wanted = (import_rows.c.step == step, import_rows.c.state == state, import_rows.c.due_at <= now)
        return self.rows(number, *wanted, most=most)

    def open_count(self, number: int) -> int:
        """How many rows are not settled yet."""
        return self.count(number, import_rows.c.state.in_(OPEN_IMPORT_STATES))

    def count(self, number: int, *conditions: ColumnElement[bool]) -> int:
        """How many rows are so."""
        query = select(func.count()).select_from(import_rows).where(*self._mine(number), *conditions)
        with self._store.read() as connection:
            return int(connection.execute(query).scalar_one())

    def counts(self, number: int) -> Counts:
        """How many of its rows are how."""
        return self.counts_of([number])[number]

    def counts_of(self, numbers: Iterable[int]) -> dict[int, Counts]:
        """The same of several imports at once."""
        columns = (import_rows.c.state, import_rows.c.standing, import_rows.c.interest, import_rows.c.what)
        found: dict[int, list[dict[str, int]]] = {number: [{} for _ in columns] for number in numbers}
        with self._store.read() as connection:
            for some in chunks(sorted(found)):
                # The account's by their imports: by their own column all its imports would be read.
                mine = select(imports.c.id).where(self._store.owns(imports), imports.c.id.in_(some))
                query = select(import_rows.c.import_id, *columns, func.count()).where(import_rows.c.import_id.in_(mine))
                for number, *names, count in connection.execute(query.group_by(import_rows.c.import_id, *columns)):
                    for counts, name in zip(found[number], names, strict=True):
                        counts[name] = counts.get(name, 0) + count
        return {number: Counts(*counts) for number, counts in found.items()}

    def keep_plan(self, connection: Connection, number: int, plan: Iterable[tuple[ImportRow, Row]]) -> None:
        """A plan made anew for rows of a draft."""
        self.mark_each(connection, {kept.id: self._planned(row) for kept, row in plan})

    def say(self, number: int, places: Sequence[int], said: Override) -> None:
        """What a person decided about rows of a draft; the plan is to be made anew."""
        with self._store.write() as connection:
            self.become_in(connection, number, ["draft"], "draft")
            for some in chunks(sorted(places)):
                changed = update(import_rows).where(*self._mine(number), import_rows.c.number.in_(some))
                connection.execute(changed.values(said=override_json(said)))

    def decide(self, connection: Connection, number: int, place: int, said: Override, row: Row, **more: Any) -> bool:
        """What a person decided about somebody whom a begun import has left out; False if that is so no more."""
        left_out = (import_rows.c.number == place, import_rows.c.state == "skipped", import_rows.c.step == "")
        changed = update(import_rows).where(*self._mine(number), *left_out)
        values = {"said": override_json(said), **self._planned(row), **more}
        return connection.execute(changed.values(values)).rowcount == 1

    def repeat(self, connection: Connection, number: int, rows: Mapping[int, Row], begins: Callable[[Row], str]) -> int:
        """Rows that have failed, planned anew, are to be worked on again; how many. ``rows``: by their place."""
        count = 0
        for place, row in rows.items():
            failed = (import_rows.c.number == place, import_rows.c.state == "failed")
            changed = update(import_rows).where(*self._mine(number), *failed)
            values = {
                **self._planned(row), "step": begins(row), "state": "ready", "attempts": 0, "due_at": 0.0, "note": "",
            }  # fmt: skip
            count += connection.execute(changed.values(values)).rowcount
        return count

    def contacts(self, number: int) -> set[int]:
        """The contacts that an import's people are, or have become."""
        query = select(import_rows.c.contact_id).where(*self._mine(number), import_rows.c.contact_id.is_not(None))
        with self._store.read() as connection:
            return set(connection.execute(query.distinct()).scalars())

    def done_besides(self, number: int, deal_ids: Iterable[int]) -> dict[int, list[Row]]:
        """Deal → what other imports have done with it."""
        found: dict[int, list[Row]] = {}
        with self._store.read() as connection:
            for some in chunks(sorted(set(deal_ids))):
                others = (import_rows.c.import_id != number, import_rows.c.deal_id.in_(some))
                done = (self._store.owns(import_rows), import_rows.c.state.in_(("done", "undone")), *others)
                for row in map(import_row, connection.execute(select(import_rows).where(*done))):
                    found.setdefault(row.deal_id or 0, []).append(row.row)
        return found

    def again(self, number: int, step: str) -> bool:
        """Rows in doubt of a step that may be done twice without harm are ready again; were there any?"""
        rows = self.due(number, step, "doubt", 10_000)
        with self._store.write() as connection:
            self.mark(connection, [row.id for row in rows], state="ready", due_at=0.0)
        return bool(rows)

    def mark(self, connection: Connection, ids: Sequence[int], **values: Any) -> None:
        """Change rows, by their ids in the store."""
        for some in chunks(sorted(ids)):
            connection.execute(update(import_rows).where(import_rows.c.id.in_(some)).values(**values))

    def mark_each(self, connection: Connection, values: Mapping[int, Mapping[str, Any]]) -> None:
        """Change rows, each in its own way: one statement for all that change the same columns."""
        by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row_id, changed in values.items():
            told = {f"new_{name}": value for name, value in changed.items()}
            by_columns.setdefault(tuple(changed), []).append({"row_id": row_id, **told})
        for names, rows in by_columns.items():
            changes: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
            connection.execute(update(import_rows).where(import_rows.c.id == bindparam("row_id")).values(changes), rows)

    def _new_row(self, number: int, place: int, row: Row) -> dict[str, Any]:
        return {
            "account": self._store.account_id, "import_id": number, "number": place, "person_key": row.person.key,
            "person": person_json(row.person), "said": "{}", "made_contact": 0, "step": "", "state": "planned",
            "attempts": 0, "due_at": 0.0, "note": "", **self._planned(row),
        }  # fmt: skip

    def _planned(self, row: Row) -> dict[str, Any]:
        return {
            "standing": row.standing, "what": row.what, "interest": row.sorted.interest, "planned": planned_json(row),
            "contact_id": row.contact_id, "deal_id": row.deal_id,
        }  # fmt: skip

    def _one(self, number: int) -> tuple[ColumnElement[bool], ...]:
        return (self._store.owns(imports), imports.c.id == number)

    def _mine(self, number: int) -> tuple[ColumnElement[bool], ...]:
        return (self._store.owns(import_rows), import_rows.c.import_id == number)


def _missing(number: int) -> NoSuchImport:
    return NoSuchImport(f"загрузки № {number} нет")


def _not_now(number: int, state: State) -> NotNow:
    return NotNow(f"загрузка № {number} {NOW_WORDS[state]}: этого с ней сделать нельзя")


def keys_of(people: Iterable[Attendee]) -> list[str]:
    """The keys under which people are known."""
    return sorted({one.key for one in people})


# What earlier imports have done, and columns that somebody has named: what need not be asked or written again.

Key = TypeVar("Key", str, int)
# An import that was undone has left nothing that could be there already.
COUNTS: tuple[State, ...] = ("running", "paused", "done")


class ImportHistory:
    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def figures_by_key(self, held_on: date, keys: Iterable[str]) -> dict[str, KnownFigures]:
        """What was done about these people for a webinar of that day: person's key → all that is known of it."""
        return self._figures(held_on, import_rows.c.person_key, keys)

    def figures_by_contact(self, held_on: date, contact_ids: Iterable[int]) -> dict[int, KnownFigures]:
        """The same by the contact: another kind of file may know the person by another address."""
        return self._figures(held_on, import_rows.c.contact_id, contact_ids)

    def _figures(self, held_on: date, column: ColumnElement[Key], wanted: Iterable[Key]) -> dict[Key, KnownFigures]:
        found: dict[Key, KnownFigures] = {}
        same_day = (
            self._store.owns(imports), imports.c.held_on == held_on.isoformat(), imports.c.state.in_(COUNTS),
        )  # fmt: skip
        query = select(import_rows, column.label("asked")).join(imports, imports.c.id == import_rows.c.import_id)
        query = query.where(*same_day, import_rows.c.state == "done").order_by(import_rows.c.id)
        with self._store.read() as connection:
            for some in chunks(sorted(set(wanted))):
                for row in connection.execute(query.where(column.in_(some))):
                    found[row.asked] = _after(found.get(row.asked), import_row(row), row.import_id)
        return found

    def elsewhere(self, number: int, key: str, held_on: date) -> int | None:
        """Another import that has this person of this day, or is at work on him for any day; None if there is none."""
        mine = (self._store.owns(import_rows), import_rows.c.person_key == key)
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
        query = query.where(self._store.owns(mine), mine.c.import_id == number)
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
        mine = (self._store.owns(imports), imports.c.state.in_(COUNTS), rows.state == "done")
        earlier: dict[str, int] = {}
        decided: dict[str, int] = {}
        with self._store.read() as connection:
            for some in chunks(sorted(keys)):
                wanted = (
                    rows.account == self._store.account_id,
                    rows.person_key.in_(some),
                    rows.contact_id.is_not(None),
                )
                for row in connection.execute(query.where(*mine, *wanted)):
                    address = keys[row.person_key]
                    if override_of(row.said).contact_id:
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
        query = select(imports.c.id, imports.c.files).where(self._store.owns(imports), *conditions)
        with self._store.read() as connection:
            for row in connection.execute(query.order_by(imports.c.id)):
                if any(file["digest"] == digest for file in json.loads(row.files)):
                    return int(row.id)
        return None

    def drafts_of(self, digests: Iterable[str], held_on: date, but: int) -> dict[str, int]:
        """Other drafts of these very files for the same webinar: digest → the latest of them."""
        wanted = set(digests)
        mine = (self._store.owns(imports), imports.c.state == "draft", imports.c.id != but)
        query = select(imports.c.id, imports.c.files).where(*mine, imports.c.held_on == held_on.isoformat())
        with self._store.read() as connection:
            found = connection.execute(query.order_by(imports.c.id)).all()
        return {
            file["digest"]: int(row.id) for row in found for file in json.loads(row.files) if file["digest"] in wanted
        }

    def columns(self) -> dict[str, Mapping[Field, str]]:
        """All that was named: signature of a table → field → its column's title."""
        query = select(import_columns).where(self._store.owns(import_columns))
        with self._store.read() as connection:
            return {row.signature: json.loads(row.columns) for row in connection.execute(query)}

    def remember_columns(self, signature: str, columns: Mapping[Field, str], titles: Sequence[str] = ()) -> None:
        """For this table and all that have the same header; ``titles``: its headings."""
        row = {
            "account": self._store.account_id, "signature": signature,
            "columns": json.dumps(dict(columns), ensure_ascii=False),
            "titles": json.dumps(list(titles), ensure_ascii=False),
        }  # fmt: skip
        with self._store.write() as connection:
            insert_or_replace(connection, import_columns, ("account", "signature"), [row])

    def column_answers(self) -> list[ColumnAnswer]:
        """All that people have said about columns."""
        query = select(import_columns).where(self._store.owns(import_columns))
        with self._store.read() as connection:
            found = connection.execute(query.order_by(import_columns.c.signature)).all()
        return [
            ColumnAnswer(row.signature, json.loads(row.columns), tuple(json.loads(row.titles))) for row in found
        ]  # fmt: skip

    def column_answer(self, signature: str) -> ColumnAnswer:
        """Raises NoSuchImport (Russian)."""
        found = [one for one in self.column_answers() if signature and one.signature.startswith(signature)]
        if len(found) != 1:
            raise NoSuchImport(f"ответа о столбцах «{signature}» нет")
        return found[0]

    def forget_columns(self, signature: str) -> None:
        """Such tables are asked about anew. Raises NoSuchImport (Russian)."""
        answer = self.column_answer(signature)
        mine = (self._store.owns(import_columns), import_columns.c.signature == answer.signature)
        with self._store.write() as connection:
            connection.execute(delete(import_columns).where(*mine))


def _after(before: KnownFigures | None, kept: ImportRow, import_id: int) -> KnownFigures:
    """The latest is what stands in amoCRM; what its file did not know stands there from before."""
    figures = kept.row.figures.beside(before.figures) if before else kept.row.figures
    by_hand = kept.said != Override() or (before is not None and before.by_hand)
    return KnownFigures(import_id, kept.contact_id, kept.deal_id, figures, by_hand)
