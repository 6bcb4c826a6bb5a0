"""New contacts and new deals: whoever is in doubt is looked for in amoCRM before anything is sent again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import ContactRecord
from amo_bridge.crm.writes import Written, find
from amo_bridge.engine.imports.bodies import BodyMaker
from amo_bridge.engine.imports.book import ImportBook
from amo_bridge.engine.imports.deliver import AT_ONCE, Deliverer, Settle
from amo_bridge.engine.imports.follow import Follower
from amo_bridge.engine.imports.records import Import, Kept
from amo_bridge.engine.imports.steps import first_of_undo
from amo_bridge.errors import CrmStopped, CrmTemporary
from amo_bridge.mirror.contacts import ContactIndex, IndexedContact
from amo_bridge.storage.database import Store, chunks
from amo_bridge.storage.tables import import_rows

log = structlog.get_logger()
KINDS = {"person": "create_contact", "deal": "create_deal"}


class Making:
    def __init__(
        self,
        store: Store,
        key: int,
        client: CrmClient,
        book: ImportBook,
        deliverer: Deliverer,
        follower: Follower,
        make: BodyMaker,
    ) -> None:
        self._store = store
        self._key = key
        self._client = client
        self._book = book
        self._deliverer = deliverer
        self._follower = follower
        self._make = make
        self._index = ContactIndex(store, key)

    def step(self, job: Import) -> bool:
        """One request: contacts first, because their deals need them."""
        return self._send(job, "person") or self._send(job, "deal")

    def look(self, job: Import) -> bool:
        """Rows that may have been written: those that are in amoCRM are done, the others are to be sent again."""
        return any([self._look(job, "person"), self._look(job, "deal")])

    def _send(self, job: Import, step: str) -> bool:
        rows = self._book.due(job.id, step, "ready", AT_ONCE)
        bodies = self._bodies(step, rows)
        return bool(self._deliverer.send(KINDS[step], bodies, self._settled(job, step, rows, bodies)))

    def _look(self, job: Import, step: str) -> bool:
        rows = self._book.due(job.id, step, "doubt", AT_ONCE)
        if not rows:
            return False
        bodies = self._bodies(step, rows)
        since = job.started_at or 0.0
        sought = {str(number): {"body": body, "not_before": since} for number, body in bodies.items()}
        try:
            found = find(self._client, KINDS[step], sought, lambda entity_ids: self._taken(step, entity_ids))
        except CrmStopped:
            raise
        except CrmTemporary:
            self._deliverer.put_off(rows)
            raise
        log.info("looked for lost answers", kind=KINDS[step], found=len(found), missing=len(rows) - len(found))
        there = {int(mark): one for mark, one in found.items()}
        # Of an import that is being taken back nothing more is made.
        missing = "ready" if job.state == "running" else "skipped"
        with self._store.write() as connection:
            self._settled(job, step, rows, bodies)(connection, there)
            self._book.mark(connection, [row.id for row in rows if row.id not in there], state=missing, due_at=0.0)
        return True

    def _bodies(self, step: str, rows: Sequence[Kept]) -> dict[int, dict[str, Any]]:
        if step == "person":
            return {row.id: self._make.contact(row.row) for row in rows}
        return {row.id: self._make.deal(row.row, row.contact_id) for row in rows if row.contact_id is not None}

    def _settled(self, job: Import, step: str, rows: Sequence[Kept], bodies: Mapping[int, Mapping[str, Any]]) -> Settle:
        by_id = {row.id: row for row in rows}

        def people(connection: Connection, written: Mapping[int, Written]) -> None:
            after = {"step": "deal", "state": "ready"} if job.state == "running" else {"state": "skipped"}
            for number, one in written.items():
                self._book.mark(connection, [number], contact_id=one.id, made_contact=1, due_at=0.0, **after)
            self._index.put(
                connection, [_indexed(by_id[number], one.id) for number, one in written.items()], self._follower.now()
            )  # fmt: skip

        def deals(connection: Connection, written: Mapping[int, Written]) -> None:
            links = []
            for number, one in written.items():
                row = by_id[number]
                undo = {"step": first_of_undo(row), "state": "ready"}
                after = {"state": "done"} if job.state == "running" else undo
                self._book.mark(connection, [number], deal_id=one.id, due_at=0.0, **after)
                self._follower.made(connection, job, row, bodies[number], one)
                links.append((row.contact_id or 0, one.id))
            self._index.link(connection, links, self._follower.now())

        return people if step == "person" else deals

    def _taken(self, step: str, entity_ids: Iterable[int]) -> set[int]:
        """Which of these are known to belong to other rows."""
        column = import_rows.c.contact_id if step == "person" else import_rows.c.deal_id
        found: set[int] = set()
        with self._store.read() as connection:
            for some in chunks(sorted(set(entity_ids))):
                query = select(column).where(import_rows.c.account == self._key, column.in_(some))
                found |= set(connection.execute(query).scalars())
        return found


def _indexed(row: Kept, contact_id: int) -> IndexedContact:
    """So that the next import knows the person before amoCRM's hook has told of him."""
    person = row.row.person
    return IndexedContact.of(
        ContactRecord(id=contact_id, name=person.name, phones=person.phones, emails=person.mails)
    )  # fmt: skip
