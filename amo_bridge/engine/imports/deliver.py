"""Writing many objects into amoCRM so that each is surely there once, or surely not: the outbox's care, for rows.

A row is ``sending`` in the store before the request leaves. What becomes of it then: written, refused in amoCRM's own
words, put off (surely not written), or ``doubt`` (nobody knows: looked for before it is sent again).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.writes import Written, named_bad, write
from amo_bridge.engine.imports.book import ImportBook
from amo_bridge.engine.imports.records import Kept
from amo_bridge.errors import CrmForbidden, CrmRefused, CrmStopped, CrmTemporary, CrmUncertain
from amo_bridge.retry import delay
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import import_rows

log = structlog.get_logger()
# As many objects as one request may hold.
AT_ONCE = 250
Bodies = Mapping[int, Mapping[str, Any]]
"""Row's id → amoCRM's object for it."""
Settle = Callable[[Connection, Mapping[int, Written]], None]
"""What follows from rows that were written, within the transaction that says so."""
Failed = Callable[[Connection, Mapping[int, str]], None]
"""What follows from rows that amoCRM refused for good: row's id → its words."""


class Deliverer:
    def __init__(
        self, store: Store, account: int, client: CrmClient, book: ImportBook, clock: Clock, settle: float
    ) -> None:
        self._store = store
        self._account = account
        self._client = client
        self._book = book
        self._clock = clock
        self._settle = settle

    def recover(self) -> None:
        """What was being sent when the bridge died may be in amoCRM."""
        self._sending(state="doubt", due_at=self._clock.now().timestamp() + self._settle)

    def send(self, kind: str, bodies: Bodies, settled: Settle, failed: Failed | None = None) -> int:
        """One request, more only if amoCRM refuses some of it; how many rows were settled. Without ``failed`` a refused
        row has failed, and that is the end of it. Raises CrmStopped."""
        if not bodies:
            return 0
        with self._store.write() as connection:
            self._book.mark(connection, list(bodies), state="sending")
        try:
            return self._send(kind, bodies, settled, failed or self._failed)
        except CrmStopped:
            self._sending(state="ready", due_at=self._clock.now().timestamp() + delay(1))
            raise
        except CrmUncertain as error:
            log.warning("answer lost", kind=kind, rows=len(bodies), error=str(error))
            self._sending(state="doubt", due_at=self._clock.now().timestamp() + self._settle)
        except CrmTemporary as error:
            self._sending(state="ready", due_at=self._clock.now().timestamp() + (error.retry_after or delay(1)))
        return 0

    def put_off(self, rows: Sequence[Kept]) -> None:
        """Rows that can't be looked for just now."""
        tries = max(row.attempts for row in rows) + 1
        with self._store.write() as connection:
            later = self._clock.now().timestamp() + delay(tries)
            self._book.mark(connection, [row.id for row in rows], due_at=later, attempts=tries)

    def _send(self, kind: str, bodies: Bodies, settled: Settle, failed: Failed) -> int:
        try:
            written = write(self._client, kind, {str(number): body for number, body in bodies.items()})
        except CrmForbidden as error:
            return self._fail(dict.fromkeys(bodies, str(error)), failed)
        except CrmRefused as error:
            return self._sort_refused(kind, bodies, settled, failed, error)
        with self._store.write() as connection:
            settled(connection, {int(mark): one for mark, one in written.items()})
        return len(bodies)

    def _sort_refused(self, kind: str, bodies: Bodies, settled: Settle, failed: Failed, error: CrmRefused) -> int:
        """A refused request wrote nothing: the bad rows fail, the others are sent again."""
        bad = {int(mark): words for mark, words in named_bad([str(number) for number in bodies], error).items()}
        if not bad and len(bodies) > 1:
            numbers = list(bodies)
            halves = (numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :])
            return sum(
                self._send(kind, {number: bodies[number] for number in half}, settled, failed) for half in halves
            )
        bad = bad or dict.fromkeys(bodies, str(error))
        rest = {number: body for number, body in bodies.items() if number not in bad}
        return self._fail(bad, failed) + (self._send(kind, rest, settled, failed) if rest else 0)

    def _fail(self, words: Mapping[int, str], failed: Failed) -> int:
        for number, told in words.items():
            log.error("refused", import_row=number, error=told)
        with self._store.write() as connection:
            failed(connection, words)
        return len(words)

    def _failed(self, connection: Connection, words: Mapping[int, str]) -> None:
        for number, told in words.items():
            self._book.mark(connection, [number], state="failed", note=told)

    def _sending(self, **values: Any) -> None:
        """One import is worked on at a time, so what is being sent is what was sent last."""
        mine = (import_rows.c.account == self._account, import_rows.c.state == "sending")
        with self._store.write() as connection:
            connection.execute(update(import_rows).where(*mine).values(attempts=import_rows.c.attempts + 1, **values))
