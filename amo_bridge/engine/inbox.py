"""The inbox: the raw bytes of every hook, committed before anybody is told that they arrived.

Whoever takes bytes in hands them to one writer thread that commits whatever has gathered since the last commit (group
commit): a commit costs a disk flush, and a burst of hooks must not cost one each.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AbstractContextManager
from time import monotonic
from typing import Generic, TypeVar, cast

from sqlalchemy import insert
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage.database import NOTIFY_CHANNEL, AccountStore
from amo_bridge.storage.packing import WEBHOOK, pack
from amo_bridge.storage.tables import inbox

MOST_AT_ONCE = 500
# While many come at once, a commit waits for as many as there were at the last one: as long as that took at most (a
# quick disk need not gather), and so many seconds.
GATHER_SHARE, LONGEST_GATHER = 1.0, 0.005
# amoCRM gives up after 2 s (amoCRM docs, webhooks-format); an honest 503 before that is retried sooner than a timeout.
PATIENCE = 1.8
# What may wait in memory for a database that does not answer: for minutes, a connection to PostgreSQL that died unseen.
MOST_WAITING_BYTES = 64 * 1024 * 1024
# Beside its body, an item is a few small objects.
ITEM_BYTES = 1024


Item = TypeVar("Item")
Result = TypeVar("Result")
Settle = Callable[[Result | None, Exception | None], None]
"""Called by the writer's thread: with the result once the item is on disk, or with what kept it from getting there."""


class CommitQueue(ABC, Generic[Item, Result]):
    """One thread writes what many hand over, as many in one transaction as have gathered since the last."""

    def __init__(self, store: AccountStore, name: str) -> None:
        self._store = store
        # Guards all the rest, and wakes the writer when ``_wanted`` are waiting.
        self._arrived = threading.Condition()
        self._waiting: list[tuple[Item, Settle[Result]]] = []
        self._waiting_bytes = 0
        self._wanted = self._expected = 1
        self._gather_until = 0.0
        self._is_closed = False
        self._writer = threading.Thread(target=self._write_on, name=name, daemon=True)
        self._writer.start()

    def put(self, item: Item) -> Result:
        """Returns when the item is on disk. Raises StoreUnavailable if it is not; then nothing was accepted."""
        committed: Future[Result] = Future()

        def settle(result: Result | None, error: Exception | None) -> None:
            if error is None:
                committed.set_result(cast(Result, result))
            else:
                committed.set_exception(error)

        self.put_later(item, settle)
        try:
            return committed.result(timeout=PATIENCE)
        except FutureTimeout as error:
            # It may still be committed a moment later; a repeated hook is recognised, so that does no harm.
            raise StoreUnavailable("база не ответила за отведённое время") from error

    def put_later(self, item: Item, settle: Settle[Result]) -> None:
        """Returns at once. ``settle`` must neither wait nor raise; nobody calls it when the queue is closed. What there
        is no room for is refused at once."""
        length = self._length(item) + ITEM_BYTES
        with self._arrived:
            if has_room := self._waiting_bytes + length <= MOST_WAITING_BYTES:
                self._waiting_bytes += length
                self._waiting.append((item, settle))
                if self._is_enough():
                    self._arrived.notify()
        if not has_room:
            settle(None, StoreUnavailable("база не отвечает, и в памяти ждёт уже слишком много"))

    @property
    def account_id(self) -> int:
        """The account that it writes for."""
        return self._store.account_id

    def close(self) -> None:
        with self._arrived:
            self._is_closed = True
            self._arrived.notify()
        self._writer.join(timeout=10)

    @abstractmethod
    def _length(self, item: Item) -> int:
        """The bytes of its body."""

    def _transaction(self) -> AbstractContextManager[Connection]:
        """What ``_write`` writes in: durable when it is left."""
        return self._store.write()

    @abstractmethod
    def _write(self, connection: Connection, items: Sequence[Item]) -> Sequence[Result]:
        """Write the items; what is to be said of each, in their order."""

    def _after(self) -> None:
        """After each commit."""

    def _write_on(self) -> None:
        while together := self._gathered():
            self._commit(together)

    def _gathered(self) -> Sequence[tuple[Item, Settle[Result]]]:
        """What goes together; nothing when the queue is closed."""
        with self._arrived:
            self._wanted = 1
            self._arrived.wait_for(self._is_enough)
            # Those that were just answered send their next in a moment: without this, half of them would wait for the
            # commit of the other half, again and again. Whoever comes alone finds nobody to wait for.
            self._wanted = self._expected
            self._arrived.wait_for(self._is_enough, max(0.0, self._gather_until - monotonic()))
            together, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
        return together

    def _expect_as_many(self, written: int, seconds: float) -> None:
        with self._arrived:
            self._expected = min(written + len(self._waiting), MOST_AT_ONCE)
        self._gather_until = monotonic() + min(seconds * GATHER_SHARE, LONGEST_GATHER)

    def _is_enough(self) -> bool:
        return self._is_closed or len(self._waiting) >= self._wanted

    def _commit(self, together: Sequence[tuple[Item, Settle[Result]]]) -> None:
        try:
            self._write_together(together)
        finally:
            length = sum(self._length(item) + ITEM_BYTES for item, _ in together)
            with self._arrived:
                self._waiting_bytes -= length

    def _write_together(self, together: Sequence[tuple[Item, Settle[Result]]]) -> None:
        began = monotonic()
        try:
            with self._transaction() as connection:
                results = self._write(connection, [item for item, _ in together])
        except Exception as error:  # noqa: BLE001 - handed to whoever waits, and answered with 503
            for _, settle in together:
                settle(None, error)
            return
        # Before anybody is answered, and may come again.
        self._expect_as_many(len(together), monotonic() - began)
        for (_, settle), result in zip(together, results, strict=True):
            settle(result, None)
        self._after()


# One statement, so that a batch is one way to the server and back: the commit is awaited as ever, and nothing else is.
# Bodies go as bytes (%b): as text each would be twice as long. They are numbered in the order in which they came.
KEEP_AND_NOTIFY = f"""
WITH kept AS (
    INSERT INTO inbox (account, received_at, body, state)
    SELECT %(account)s, %(now)s, given.body, 'new'
    FROM unnest(%(bodies)b::bytea[]) WITH ORDINALITY AS given (body, number) ORDER BY given.number
)
SELECT pg_notify('{NOTIFY_CHANNEL}', current_schema() || ' ' || %(account)s)
"""


class Inbox(CommitQueue[bytes, None]):
    """Accepts bodies. ``wake`` is called after each commit."""

    def __init__(self, store: AccountStore, clock: Clock, wake: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._wake = wake
        super().__init__(store, "inbox-writer")

    def _length(self, item: bytes) -> int:
        return len(item)

    def _transaction(self) -> AbstractContextManager[Connection]:
        return self._store.write_one_statement()

    def _write(self, connection: Connection, items: Sequence[bytes]) -> Sequence[None]:
        account, now = self._store.account_id, self._clock.now().timestamp()
        if connection.dialect.name == "postgresql":
            told = {"account": account, "now": now, "bodies": [pack(body, WEBHOOK) for body in items]}
            connection.exec_driver_sql(KEEP_AND_NOTIFY, told)
        else:
            common = {"account": account, "received_at": now, "state": "new"}
            connection.execute(insert(inbox), [{**common, "body": body} for body in items])
        return [None] * len(items)

    def _after(self) -> None:
        self._wake()
