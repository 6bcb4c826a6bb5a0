"""The inbox: the raw bytes of every hook, committed before anybody is told that they arrived.

Web threads hand their bytes to one writer thread that commits whatever has gathered since the last commit (group
commit): a commit costs a disk flush, and a burst of hooks must not cost one each.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

from sqlalchemy import insert

from amo_bridge.clock import Clock
from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage.database import Store
from amo_bridge.storage.notify import notify
from amo_bridge.storage.tables import inbox

MOST_AT_ONCE = 500
# amoCRM gives up after 2 s (amoCRM docs, webhooks-format); an honest 503 before that is retried sooner than a timeout.
PATIENCE = 1.8


class Inbox:
    """Accepts bodies. ``wake`` is called after each commit."""

    def __init__(self, store: Store, account: int, clock: Clock, wake: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._account = account
        self._clock = clock
        self._wake = wake
        self._waiting: queue.SimpleQueue[tuple[bytes, Future[None]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_on, name="inbox-writer", daemon=True)
        self._writer.start()

    def put(self, body: bytes) -> None:
        """Returns when the body is on disk. Raises StoreUnavailable if it is not; then nothing was accepted."""
        committed: Future[None] = Future()
        self._waiting.put((body, committed))
        try:
            committed.result(timeout=PATIENCE)
        except FutureTimeout as error:
            # It may still be committed a moment later; a repeated hook is recognised, so that does no harm.
            raise StoreUnavailable("база не ответила за отведённое время") from error

    def close(self) -> None:
        self._waiting.put(None)
        self._writer.join(timeout=10)

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

    def _commit(self, together: list[tuple[bytes, Future[None]]]) -> None:
        now = self._clock.now().timestamp()
        rows = [{"account": self._account, "received_at": now, "body": body, "state": "new"} for body, _ in together]
        try:
            with self._store.write() as connection:
                connection.execute(insert(inbox), rows)
                notify(connection, self._account)
        except Exception as error:  # noqa: BLE001 - handed to every waiting web thread, which answers 503
            for _, committed in together:
                committed.set_exception(error)
            return
        for _, committed in together:
            committed.set_result(None)
        self._wake()
