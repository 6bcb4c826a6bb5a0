"""The inbox: the raw bytes of every hook, committed before anybody is told that they arrived.

Whoever takes bytes in hands them to one writer thread that commits whatever has gathered since the last commit (group
commit): a commit costs a disk flush, and a burst of hooks must not cost one each.
"""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Generic, TypeVar, cast

from sqlalchemy import insert
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.notify import notify
from amo_bridge.storage.tables import inbox

MOST_AT_ONCE = 500
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
        self._waiting: queue.SimpleQueue[tuple[Item, Settle[Result]] | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._waiting_bytes = 0
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
        with self._guard:
            if has_room := self._waiting_bytes + length <= MOST_WAITING_BYTES:
                self._waiting_bytes += length
        if has_room:
            self._waiting.put((item, settle))
        else:
            settle(None, StoreUnavailable("база не отвечает, и в памяти ждёт уже слишком много"))

    @property
    def account_id(self) -> int:
        """The account that it writes for."""
        return self._store.account_id

    def close(self) -> None:
        self._waiting.put(None)
        self._writer.join(timeout=10)

    @abstractmethod
    def _length(self, item: Item) -> int:
        """The bytes of its body."""

    @abstractmethod
    def _write(self, connection: Connection, items: Sequence[Item]) -> Sequence[Result]:
        """Write the items; what is to be said of each, in their order."""

    def _after(self) -> None:
        """After each commit."""

    def _write_on(self) -> None:
        while (first := self._waiting.get()) is not None:
            together = [first]
            stop = False
            while len(together) < MOST_AT_ONCE and not self._waiting.empty():
                item = self._waiting.get()
                if item is None:
                    stop = True
                    break
                together.append(item)
            self._commit(together)
            if stop:
                return

    def _commit(self, together: Sequence[tuple[Item, Settle[Result]]]) -> None:
        try:
            self._write_together(together)
        finally:
            length = sum(self._length(item) + ITEM_BYTES for item, _ in together)
            with self._guard:
                self._waiting_bytes -= length

    def _write_together(self, together: Sequence[tuple[Item, Settle[Result]]]) -> None:
        try:
            with self._store.write() as connection:
                results = self._write(connection, [item for item, _ in together])
        except Exception as error:  # noqa: BLE001 - handed to whoever waits, and answered with 503
            for _, settle in together:
                settle(None, error)
            return
        for (_, settle), result in zip(together, results, strict=True):
            settle(result, None)
        self._after()


class Inbox(CommitQueue[bytes, None]):
    """Accepts bodies. ``wake`` is called after each commit."""

    def __init__(self, store: AccountStore, clock: Clock, wake: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._wake = wake
        super().__init__(store, "inbox-writer")

    def _length(self, item: bytes) -> int:
        return len(item)

    def _write(self, connection: Connection, items: Sequence[bytes]) -> Sequence[None]:
        now = self._clock.now().timestamp()
        rows = [{"account": self._store.account_id, "received_at": now, "body": body, "state": "new"} for body in items]
        connection.execute(insert(inbox), rows)
        notify(connection, self._store.account_id)
        return [None] * len(items)

    def _after(self) -> None:
        self._wake()
