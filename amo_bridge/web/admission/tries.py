"""Tries that failed, counted in the installation's store, so that all web replicas count together.

It is a storage of the library ``limits`` for its moving windows. A try's name (a login that was typed, an address) is
kept as a digest only: people type passwords into the wrong field.
"""

from __future__ import annotations

import time
from typing import Any

from limits.storage import MovingWindowSupport, Storage
from sqlalchemy import Select, delete, func, insert, select

from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import tries
from amo_bridge.web.admission.users import digest
from amo_bridge.web.here import office

SCHEME = "bridge-store"


class StoredTries(Storage, MovingWindowSupport):
    """In the store of whichever app is asked just now. Everything raises StoreUnavailable."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 - the library declares it so

    @property
    def base_exceptions(self) -> type[Exception]:
        return StoreUnavailable

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a try; False if there were too many within the last ``expiry`` seconds. Old ones are forgotten."""
        now = time.time()
        with self._store.write() as connection:
            connection.execute(delete(tries).where(tries.c.until <= now))
            there = connection.execute(_since(key, now - expiry)).one()
            if there.many + amount > limit:
                return False
            row = {"digest": digest(key), "at": now, "until": now + expiry}
            connection.execute(insert(tries), [row] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest try of the window was, and how many there are."""
        now = time.time()
        with self._store.read() as connection:
            there = connection.execute(_since(key, now - expiry)).one()
        return there.oldest or now, there.many

    def clear(self, key: str) -> None:
        with self._store.write() as connection:
            connection.execute(delete(tries).where(tries.c.digest == digest(key)))

    def reset(self) -> int:
        """Forget them all; how many there were."""
        with self._store.write() as connection:
            return connection.execute(delete(tries)).rowcount

    def check(self) -> bool:
        return True

    # What follows counts by the clock's quarters of an hour, not by a window that moves: nobody asks for that here.

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError

    def get(self, key: str) -> int:
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError

    @property
    def _store(self) -> Store:
        return office().store


def _since(key: str, moment: float) -> Select[int, Any]:
    mine = (tries.c.digest == digest(key), tries.c.at > moment)
    return select(func.count().label("many"), func.min(tries.c.at).label("oldest")).where(*mine)
