"""Tries that failed, counted in the installation's store, so that all web replicas count together.

It is a storage of the library ``limits`` for its moving windows. A try's name (a login that was typed, an address) is
kept as a digest only: people type passwords into the wrong field.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Response, request
from flask_limiter import Limiter, RequestLimit
from flask_limiter.util import get_remote_address
from limits.storage import MovingWindowSupport, Storage
from sqlalchemy import Select, delete, func, insert, select

from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import tries
from amo_bridge.web.auth.users import digest, fold
from amo_bridge.web.context import accounts

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
        return accounts().store


def _since(key: str, moment: float) -> Select[int, Any]:
    mine = (tries.c.digest == digest(key), tries.c.at > moment)
    return select(func.count().label("many"), func.min(tries.c.at).label("oldest")).where(*mine)


# How often something may be tried. Counted in the store: all web replicas count together.

# Nobody mistypes his password so often; and at this pace nobody guesses a good one.
PER_NAME, PER_ADDRESS = "8 per 15 minutes", "30 per 15 minutes"


limiter = Limiter(get_remote_address, storage_uri=f"{SCHEME}://", strategy="moving-window")


def limited_log_in(view: Callable[..., Any]) -> Callable[..., Any]:
    """Only failures count, by the name that was tried and by the address they came from."""
    only = ["POST"]
    by_name = limiter.limit(PER_NAME, key_func=_name, methods=only, deduct_when=_has_failed, on_breach=_write_down)
    by_address = limiter.limit(PER_ADDRESS, methods=only, deduct_when=_has_failed, on_breach=_write_down)
    limited: Callable[..., Any] = by_name(by_address(view))
    return limited


def seconds_to_wait() -> int:
    """After a refusal: until when."""
    breached = limiter.current_limit
    if breached is None:
        return 60
    # The library rounds up to the next second, which may be one more than the whole window.
    return min(max(1, round(breached.reset_at - time.time())), breached.limit.get_expiry())


def _write_down(breached: RequestLimit) -> None:
    """Once for each time that somebody is shut out. What was typed for a name may be a password: only names that there
    are go into the audit."""
    here, name = accounts(), _name()
    known = next((user.login for user in here.users.all() if fold(user.login) == name), None)
    words = f"Вход закрыт на время: много неверных паролей, {known or 'имени такого нет'}, адрес {request.remote_addr}"
    since = datetime.fromtimestamp(time.time() - breached.limit.get_expiry(), UTC)
    if not here.audit.has("log-in.locked", words, since):
        here.audit.write(known or "неизвестный", "log-in.locked", words)


def _name() -> str:
    return fold(request.form.get("login", ""))[:80]


def _has_failed(response: Response) -> bool:
    return response.status_code == 401
