"""How far an import is, and how large: contacts are made first, then deals; an undo has only deals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import case, func, select

from amo_bridge.engine.imports.book import ImportBook
from amo_bridge.engine.imports.records import SETTLED
from amo_bridge.storage.database import Store, chunks
from amo_bridge.storage.tables import OPEN_IMPORT_STATES, import_rows


@dataclass(frozen=True)
class Progress:
    """``all`` people; ``settled``: with nothing left to do. ``contacts`` that are to be made; ``made`` of them."""

    all: int
    settled: int
    contacts: int
    made: int

    @property
    def is_making_contacts(self) -> bool:
        return self.made < self.contacts


def progress(book: ImportBook, number: int) -> Progress:
    """Counted by the store: it is asked for every second. Raises StoreUnavailable."""
    contacts = book.count(number, import_rows.c.what == "create_person")
    waiting = book.count(number, import_rows.c.step == "person", import_rows.c.state.in_(OPEN_IMPORT_STATES))
    settled = book.count(number, import_rows.c.state.in_(SETTLED))
    return Progress(book.count(number), settled, contacts, contacts - waiting)


@dataclass(frozen=True)
class Size:
    """``people`` of an import, ``done``: of whom something was written."""

    people: int
    done: int


def sizes(store: Store, numbers: Iterable[int]) -> dict[int, Size]:
    """Of several imports at once. Raises StoreUnavailable."""
    column = import_rows.c
    done = func.sum(case((column.state == "done", 1), else_=0))
    query = select(column.import_id, func.count(), done).group_by(column.import_id)
    found = {}
    with store.read() as connection:
        for some in chunks(sorted(numbers)):
            for number, people, written in connection.execute(query.where(column.import_id.in_(some))):
                found[number] = Size(people, int(written))
    return found
