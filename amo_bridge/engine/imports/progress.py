"""How far an import is: contacts are made first, then deals; an undo has only deals."""

from __future__ import annotations

from dataclasses import dataclass

from amo_bridge.engine.imports.book import ImportBook
from amo_bridge.engine.imports.records import SETTLED
from amo_bridge.engine.imports_tables import OPEN
from amo_bridge.engine.store import import_rows


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
    waiting = book.count(number, import_rows.c.step == "person", import_rows.c.state.in_(OPEN))
    settled = book.count(number, import_rows.c.state.in_(SETTLED))
    return Progress(book.count(number), settled, contacts, contacts - waiting)
