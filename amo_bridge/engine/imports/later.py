"""Deciding about somebody whom an import has left out, once it was begun: just this person is imported then, by whoever
leads, like anybody else of it: once, whatever breaks off, and taken back with the others."""

from __future__ import annotations

from sqlalchemy import case, update
from sqlalchemy.engine import Connection

from amo_bridge.engine.imports.book import NotNow
from amo_bridge.engine.imports.drafting import Drafting
from amo_bridge.engine.imports.records import BEGUN, Kept
from amo_bridge.engine.imports.steps import first_step
from amo_bridge.storage.tables import imports
from amo_bridge.webinars.plan import Override


class Later:
    def __init__(self, key: int, drafting: Drafting) -> None:
        self._key = key
        self._drafting = drafting
        self._book = drafting.book

    def decide(self, number: int, kept: Kept, said: Override) -> None:
        """By what is known now. Raises NotNow (Russian): for somebody who was imported, here or elsewhere."""
        if not kept.is_left_out:
            raise NotNow(f"загрузка № {number}, строка {kept.number}: {kept.became}, решать больше нечего")
        held_on, key = self._book.get(number).held_on, kept.row.person.key
        if not said.skip and (other := self._drafting.memory.elsewhere(number, key, held_on)):
            raise NotNow(f"этим участником уже занималась загрузка № {other}")
        row = self._drafting.planned(number, kept.number, said)
        begins = {"step": first_step(row), "state": "ready", "due_at": 0.0} if row.what != "nothing" else {}
        with self._book.writing() as connection:
            if begins:
                self._go_on(connection, number)
            if not self._book.decide(connection, number, kept.number, said, row, **begins):
                raise NotNow(f"загрузка № {number}, строка {kept.number}: о ней только что решили")

    def _go_on(self, connection: Connection, number: int) -> None:
        """There is something to do again; an import that is paused stays so."""
        is_done = imports.c.state == "done"
        again = {
            "state": case((is_done, "running"), else_=imports.c.state),
            "finished_at": None,
            # What may get lost is looked for among what was made since the work began: it begins anew.
            "started_at": case((is_done, None), else_=imports.c.started_at),
        }
        mine = (imports.c.account == self._key, imports.c.id == number, imports.c.state.in_(BEGUN))
        if connection.execute(update(imports).where(*mine).values(again)).rowcount != 1:
            raise NotNow(f"загрузка № {number} уже отменяется")
