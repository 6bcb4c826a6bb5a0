"""Rate limiter of requests to amoCRM, with a circuit breaker.

amoCRM allows an integration 7 requests a second. A request is let through only when at least 1.1/rate seconds have
passed since the last one, counted from the moment it was really let through. So no second ever holds more than the
rate, however unevenly processes wake up, and the first request after a pause goes at once.

After a pause the second one may follow at once as well: a lone event is a read and a write. The first takes the time of
both, so the third waits for two, and a second still holds no more than the rate: what was left free before the first is
what the second comes too early by.

All processes of an account share one row of the bridge's database: the next free moment, moved on in one UPDATE (as in
GCRA), and the circuit breaker, so that a blocked address stops every process at once and stays stopped over a restart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    case,
    cast,
    extract,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from amo_bridge.errors import (
    CrmBlocked,
    CrmForbidden,
    CrmStopped,
    CrmTemporary,
    CrmUnauthorized,
    CrmUnpaid,
    NotConnected,
    StoreUnavailable,
)

MICROSECOND = 1_000_000
RATE = 7
PROBE_INTERVAL_SECONDS = 120.0
MAX_WAIT_SECONDS = 30.0
# By so many seconds the times on the way to amoCRM may differ without a second there holding one too many.
JITTER_SECONDS = 0.1
# A moment further away than this is no push-back, it is a clock that was set back.
MAX_PUSH_BACK_SECONDS = 900.0

_KINDS: dict[str, type[CrmStopped]] = {
    kind.__name__: kind for kind in (CrmStopped, CrmUnauthorized, NotConnected, CrmForbidden, CrmUnpaid, CrmBlocked)
}


class RateLimiter(Protocol):
    """The right to send one request. One rate limiter serves everything that shares a token.

    Its circuit breaker is open once amoCRM wants nothing more from us (401, 402, a block): then only a probe is let
    through every now and then, until one of them works or ``resume`` is called.
    """

    def acquire(self) -> None:
        """Block until one request may be sent.

        Raises CrmTemporary when that would take too long (``retry_after`` tells how long), and while the circuit
        breaker is open the CrmStopped that opened it, unless a probe is due.
        """

    def push_back(self, seconds: float) -> None:
        """Let nothing through for so many seconds: amoCRM answered 429."""

    def stop(self, error: CrmStopped) -> None:
        """Open the circuit breaker: only probes are let through."""

    def resume(self) -> None:
        """Close the circuit breaker. Does nothing when it is closed."""

    def stopped(self) -> CrmStopped | None:
        """Why nothing is sent, or None."""

    @property
    def probing(self) -> bool:
        """Whether the last ``acquire`` of this object let a probe through an open circuit breaker."""


def spacing(rate: float, reserve: float = 0) -> int:
    """Microseconds between two requests, rounded up so that not even a closed second holds one too many.

    amoCRM counts when requests arrive, and one that had to connect first arrives later than the one after it: spread
    over exactly a second, the eighth would now and then come within a second of the first.
    """
    if rate - reserve <= 0:
        raise ValueError("the reserve leaves nothing of the rate")
    return int(MICROSECOND * (1 + JITTER_SECONDS) / (rate - reserve)) + 1


def stopped_error(kind: str, reason: str) -> CrmStopped:
    """The exception of an open circuit breaker, from what was stored of it."""
    return _KINDS.get(kind, CrmStopped)(reason)


def too_long(seconds: float) -> CrmTemporary:
    """The error for a wait longer than a caller can be kept waiting."""
    return CrmTemporary("amoCRM asked to wait", retry_after=seconds)


class StoreRateLimiter:
    """A RateLimiter shared by all processes that use a database.

    ``table``: ``budgets`` of the store. Without ``clock`` a PostgreSQL's own clock is used, because machines' clocks
    differ. ``reserve`` requests a second are left to others who use the same integration's token outside the bridge.
    """

    def __init__(
        self,
        engine: Engine,
        table: Table,
        account: str | int,
        rate: float = RATE,
        reserve: float = 0,
        *,
        max_wait: float = MAX_WAIT_SECONDS,
        probe_interval: float = PROBE_INTERVAL_SECONDS,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._table = table
        self._account = str(account)
        self._spacing = spacing(rate, reserve)
        self._max_wait = max_wait
        self._probe_interval = int(probe_interval * MICROSECOND)
        self._clock = clock
        self._sleep = sleep
        self._probing = False
        # ``next_free`` as the first request after a pause has left it, while the second has not gone.
        self._second: int | None = None

    @property
    def probing(self) -> bool:
        """See RateLimiter."""
        return self._probing

    def acquire(self) -> None:
        """See RateLimiter. Raises StoreUnavailable when the database fails."""
        while (wait := self._try()) > 0:
            if wait > self._max_wait:
                raise too_long(wait)
            self._sleep(wait)

    def push_back(self, seconds: float) -> None:
        """See RateLimiter: nothing of any process is let through."""
        row = self._table.c
        until = self._now() + int(min(seconds, MAX_PUSH_BACK_SECONDS) * MICROSECOND)
        # One microsecond more: a second request that has been kept free must not find the row as it was left.
        self._set(next_free=case((row.next_free >= until, row.next_free + 1), else_=until))

    def stop(self, error: CrmStopped) -> None:
        """Open the circuit breaker for all processes."""
        now = self._now()
        self._set(
            stopped_kind=type(error).__name__,
            stopped_reason=error.detail,
            stopped_at=case((self._table.c.stopped_at.is_(None), now), else_=self._table.c.stopped_at),
            next_probe=now + self._probe_interval,
        )

    def resume(self) -> None:
        """Close the circuit breaker for all processes."""
        self._set(stopped_kind=None, stopped_reason=None, stopped_at=None, next_probe=None)
        self._probing = False

    def stopped(self) -> CrmStopped | None:
        """Why nothing is sent, or None."""
        with self._connection() as connection:
            row = connection.execute(self._read()).first()
        return stopped_error(row.stopped_kind, row.stopped_reason or "") if row and row.stopped_kind else None

    def _try(self) -> float:
        """Take the turn and return 0, or return the seconds until the next try."""
        with self._connection() as connection:
            second, self._second = self._second, None
            if second is not None and connection.execute(self._take_second(second)).first() is not None:
                self._probing = False
                return 0.0
            taken = connection.execute(self._take()).first()
            if taken is not None:
                self._probing = taken.stopped_kind is not None
                self._second = taken.next_free if taken.until_free > self._spacing * 3 // 2 else None
                return 0.0
            row = connection.execute(self._read()).first()
        if row is None:
            self._add_row()
            return self._try()
        if row.stopped_kind is not None and row.next_probe > row.now:
            raise stopped_error(row.stopped_kind, row.stopped_reason or "")
        # The turn may have become free between the two statements: then the shortest of waits, so as to try again.
        return float(max(row.next_free - row.now, 1)) / MICROSECOND

    def _take(self) -> Any:
        row = self._table.c
        now = self._now()
        free = or_(row.next_free <= now, row.next_free > now + int(MAX_PUSH_BACK_SECONDS * MICROSECOND))
        allowed = or_(row.stopped_kind.is_(None), row.next_probe <= now)
        is_after_pause = and_(row.next_free + self._spacing <= now, row.stopped_kind.is_(None))
        return (
            update(self._table)
            .where(row.account == self._account, free, allowed)
            .values(
                next_free=case((is_after_pause, now + 2 * self._spacing), else_=now + self._spacing),
                next_probe=case((row.stopped_kind.is_(None), null()), else_=now + self._probe_interval),
            )
            .returning(row.stopped_kind, row.next_free, (row.next_free - now).label("until_free"))
        )

    def _take_second(self, left: int) -> Any:
        """The turn that the first request after a pause has kept free, if nobody has touched the row since then, and it
        would not be free anyway (then it is a first one). One microsecond more, so that it is taken once."""
        row = self._table.c
        now = self._now()
        after = now + self._spacing
        is_kept = and_(row.next_free == left, row.next_free > now)
        return (
            update(self._table)
            .where(row.account == self._account, is_kept, row.stopped_kind.is_(None))
            .values(next_free=case((after > left, after), else_=left + 1))
            .returning(row.next_free)
        )

    def _read(self) -> Any:
        return select(self._table, self._now().label("now")).where(self._table.c.account == self._account)

    def _set(self, **values: Any) -> None:
        change = update(self._table).where(self._table.c.account == self._account).values(**values)
        with self._connection() as connection:
            changed = connection.execute(change).rowcount
        if not changed:
            self._add_row()
            with self._connection() as connection:
                connection.execute(change)

    def _add_row(self) -> None:
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(self._table).values(account=self._account, next_free=0))
        except IntegrityError:
            return  # another process was first, and its row is as good
        except DBAPIError as error:
            raise StoreUnavailable(f"the rate limiter can't be written: {error.orig}") from error

    def _now(self) -> ColumnElement[int]:
        if self._clock is None and self._engine.dialect.name == "postgresql":
            return cast(extract("epoch", func.clock_timestamp()) * MICROSECOND, BigInteger)
        return literal(int((self._clock or time.time)() * MICROSECOND), BigInteger)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise StoreUnavailable(f"the rate limiter does not answer: {error.orig}") from error


class LocalRateLimiter:
    """A RateLimiter of one process, for commands that run without a store."""

    def __init__(
        self,
        rate: float = RATE,
        *,
        max_wait: float = MAX_WAIT_SECONDS,
        probe_interval: float = PROBE_INTERVAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spacing = spacing(rate) / MICROSECOND
        self._max_wait = max_wait
        self._probe_interval = probe_interval
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._next_free = float("-inf")
        self._has_second = False
        self._stopped: CrmStopped | None = None
        self._next_probe = 0.0
        self._probing = False

    @property
    def probing(self) -> bool:
        """See RateLimiter."""
        return self._probing

    def acquire(self) -> None:
        """See RateLimiter."""
        while (wait := self._try()) > 0:
            if wait > self._max_wait:
                raise too_long(wait)
            self._sleep(wait)

    def push_back(self, seconds: float) -> None:
        """See RateLimiter."""
        with self._lock:
            self._next_free = max(self._next_free, self._clock() + min(seconds, MAX_PUSH_BACK_SECONDS))
            self._has_second = False

    def stop(self, error: CrmStopped) -> None:
        """Open the circuit breaker."""
        with self._lock:
            self._stopped = error
            self._next_probe = self._clock() + self._probe_interval

    def resume(self) -> None:
        """Close the circuit breaker."""
        with self._lock:
            self._stopped = None
            self._probing = False

    def stopped(self) -> CrmStopped | None:
        """Why nothing is sent, or None."""
        return self._stopped

    def _try(self) -> float:
        """Take the turn and return 0, or return the seconds until the next try."""
        with self._lock:
            now = self._clock()
            if self._stopped is not None and now < self._next_probe:
                raise stopped_error(type(self._stopped).__name__, self._stopped.detail)
            if now < self._next_free and self._has_second and self._stopped is None:
                self._has_second = False
                self._next_free = max(self._next_free, now + self._spacing)
                self._probing = False
                return 0.0
            if now < self._next_free:
                return self._next_free - now
            self._has_second = now >= self._next_free + self._spacing and self._stopped is None
            self._next_free = now + self._spacing * (2 if self._has_second else 1)
            self._probing = self._stopped is not None
            self._next_probe = now + self._probe_interval
            return 0.0
