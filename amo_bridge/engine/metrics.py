"""Metrics and health: what waits and has failed, the mirror's age; the last requests to amoCRM.

Only open and failed rows are counted, by indexes of their own: asking every few seconds costs nothing to speak of.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from prometheus_client import CollectorRegistry, Counter, Histogram
from sqlalchemy import ColumnElement, Select, and_, case, delete, func, insert, literal_column, or_, select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm.rate_limiter import RateLimiter
from amo_bridge.errors import CrmStopped, StoreUnavailable
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.storage.accounts import CLOCK_AHEAD, HOOK_MENDED, HOOK_SEEN, RECONCILED_AT, Cursors
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import (
    OPEN_STATES,
    budgets,
    deals,
    events,
    in_open_state,
    inbox,
    is_given_up,
    outbox,
    sent_requests,
    timers,
)

METRICS_TOKEN = "AMO_BRIDGE_METRICS_TOKEN"
"""Who knows what this variable holds may ask how the bridge is doing from anywhere."""
# What should have been dealt with so many seconds ago and was not: somebody should look.
PATIENCE = 60.0


@dataclass(frozen=True)
class HealthSnapshot:
    """Counts of one account's rows. Ages are seconds; None: it has not happened yet.

    ``timers_overdue``: steps that fell due a minute ago and have not fired.
    ``outbox``: open state → how many. ``failed``: kind of effect, or "event", → how many. ``stopped``: why amoCRM wants
    nothing from us, empty if it does."""

    inbox_new: int
    events_open: int
    outbox: Mapping[str, int]
    failed: Mapping[str, int]
    overdue: int
    timers_open: int
    timers_overdue: int
    mirror_deals: int
    last_hook_age: float | None
    reconcile_age: float | None
    hook_seen_age: float | None
    hook_mended_age: float | None
    stopped: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class HealthReader:
    def __init__(self, store: AccountStore, account_url: str, clock: Clock) -> None:
        self._store = store
        self._url = account_url
        self._clock = clock
        self._cursors = Cursors(store)

    def read(self) -> HealthSnapshot:
        """Look now. Raises StoreUnavailable."""
        now = self._clock.now().timestamp()
        before = now - PATIENCE
        known = self._cursors.read_some(RECONCILED_AT, HOOK_SEEN, HOOK_MENDED, CLOCK_AHEAD)
        # Steps fall due by amoCRM's clock.
        ahead = known.get(CLOCK_AHEAD, 0.0)
        with self._store.read() as connection:
            last_hook_at = connection.execute(self._last_hook()).scalar()
            unread, late_unread = self._unread(connection, before)
            unjudged, late_unjudged = self._unjudged(connection, before)
            unsent, late_unsent = self._unsent(connection, before)
            return HealthSnapshot(
                inbox_new=unread,
                events_open=unjudged,
                outbox=unsent,
                failed=self._failed(connection),
                overdue=late_unread + late_unjudged + late_unsent,
                timers_open=self._large(connection, "timers_open", self._timers()),
                timers_overdue=_count(connection, self._timers().where(timers.c.due_at < before + ahead)),
                mirror_deals=self._large(connection, "deals", select(func.count()).where(self._of(deals))),
                last_hook_age=_age(last_hook_at, now),
                reconcile_age=_age(known.get(RECONCILED_AT), now),
                hook_seen_age=_age(known.get(HOOK_SEEN), now),
                hook_mended_age=_age(known.get(HOOK_MENDED), now),
                stopped=self._stopped(connection),
            )

    def _of(self, table: Any) -> Any:
        return self._store.owns(table)

    def _last_hook(self) -> Select[Any]:
        return select(inbox.c.received_at).where(self._of(inbox)).order_by(inbox.c.id.desc()).limit(1)

    # How many wait, and how many of them for too long: together, as each statement costs more than its rows.

    def _unread(self, connection: Connection, before: float) -> tuple[int, int]:
        late = _many(inbox.c.received_at < before)
        query = select(func.count(), late).where(self._of(inbox), inbox.c.state == "new")
        return _two(connection.execute(query).one())

    def _unjudged(self, connection: Connection, before: float) -> tuple[int, int]:
        late = _many(and_(events.c.received_at < before, events.c.due_at < before))
        query = select(func.count(), late).where(self._of(events), events.c.state == "open")
        return _two(connection.execute(query).one())

    def _unsent(self, connection: Connection, before: float) -> tuple[dict[str, int], int]:
        due = or_(outbox.c.state == "sending", outbox.c.due_at < before)
        late = _many(and_(outbox.c.created_at < before, due))
        query = select(outbox.c.state, func.count(), late).where(self._of(outbox), in_open_state(outbox))
        found = {row[0]: _two(row[1:]) for row in connection.execute(query.group_by(outbox.c.state))}
        return {state: found.get(state, (0, 0))[0] for state in OPEN_STATES}, sum(late for _, late in found.values())

    def _failed(self, connection: Connection) -> dict[str, int]:
        query = select(outbox.c.kind, func.count()).where(self._of(outbox), is_given_up(outbox))
        found = {kind: int(count) for kind, count in connection.execute(query.group_by(outbox.c.kind))}
        lost = _count(connection, select(func.count()).where(self._of(events), events.c.state == "failed"))
        return {**found, "event": lost} if lost else found

    def _large(self, connection: Connection, what: str, query: Select[Any]) -> int:
        counts = self._store.store.large_counts
        return counts.get((self._store.account_id, what), lambda: _count(connection, query), int)

    def _timers(self) -> Select[Any]:
        # Spelled out in the statement: SQLite takes the partial index only for what it knows before.
        is_open = timers.c.state == literal_column("'open'")
        return select(func.count()).select_from(timers).where(self._of(timers), is_open)

    def _stopped(self, connection: Connection) -> str:
        query = select(budgets.c.stopped_kind, budgets.c.stopped_reason).where(budgets.c.account == self._url)
        row = connection.execute(query).first()
        return f"{row.stopped_kind}: {row.stopped_reason}" if row and row.stopped_kind else ""


def _age(moment: float | None, now: float) -> float | None:
    return None if moment is None else max(now - moment, 0.0)


def _many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _two(counts: Sequence[Any]) -> tuple[int, int]:
    # Decimal, as PostgreSQL sums.
    many, late = counts
    return int(many), int(late)


def _count(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(query).scalar_one())


# What a process counts while it works: requests, waits, hooks, and how long it takes from a hook to its effect.

# amoCRM gives up on a hook after 2 s; an effect has seconds when all is well and hours when amoCRM is away.
HOOK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
LAG_BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 86400)
WAIT_BUCKETS = (0.001, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
NO_ANSWER = "none"


class Metrics:
    """One per process; ``of(account)`` is what the parts of one account's bridge count with."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.hook_seconds = self._histogram("hook_seconds", "From a hook's arrival to our answer", HOOK_BUCKETS)
        self.hooks = self._counter("hooks", "Hooks answered", "status")
        self.intake = self._counter("intake", "Requests of vendors answered, by what became of them", "vendor", "kind")
        self.lag_seconds = self._histogram("lag_seconds", "From a hook's arrival to its effect in amoCRM", LAG_BUCKETS)
        self.effects = self._counter("effects", "Effects that are in amoCRM now", "kind")
        self.crm_requests = self._counter("crm_requests", "Requests; status none: no answer", "method", "status")
        self.crm_waits = self._histogram("crm_wait_seconds", "Waiting for the budget before a request", WAIT_BUCKETS)
        self.crm_push_backs = self._counter("crm_push_backs", "How often amoCRM said 429")
        self.log_ins = Counter(
            "amo_bridge_log_ins", "Log-ins by result: in, wrong, refused", ["result"], registry=self.registry
        )

    def of(self, account: str) -> AccountMetrics:
        return AccountMetrics(self, account)

    def _histogram(self, name: str, words: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"amo_bridge_{name}", words, ["account"], buckets=buckets, registry=self.registry)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"amo_bridge_{name}", words, ["account", *labels], registry=self.registry)


class AccountMetrics:
    def __init__(self, meters: Metrics, account: str) -> None:
        self.process = meters
        self.account = account
        self.sent = RequestBuffer()

    def hook_answered(self, status: int, seconds: float) -> None:
        self.process.hooks.labels(self.account, str(status)).inc()
        self.process.hook_seconds.labels(self.account).observe(seconds)

    def intake_answered(self, vendor: str, kind: str) -> None:
        self.process.intake.labels(self.account, vendor, kind).inc()

    def effect_done(self, kind: str) -> None:
        self.process.effects.labels(self.account, kind).inc()

    def lagged(self, seconds: float) -> None:
        self.process.lag_seconds.labels(self.account).observe(seconds)

    def requested(self, method: str, status: str) -> None:
        self.process.crm_requests.labels(self.account, method, status).inc()

    def waited(self, seconds: float) -> None:
        self.process.crm_waits.labels(self.account).observe(seconds)

    def pushed_back(self) -> None:
        self.process.crm_push_backs.labels(self.account).inc()


class MeteredSession(requests.Session):
    """Counts each request by method and status, and notes it for the log."""

    def __init__(self, meters: AccountMetrics) -> None:
        super().__init__()
        self._meters = meters

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        status: int | None = None
        began = time.monotonic()
        try:
            answer = super().send(request, **kwargs)
            status = answer.status_code
        finally:
            self._meters.requested(request.method or "", NO_ANSWER if status is None else str(status))
            self._meters.sent.add(request.method or "", request.url or "", status, time.monotonic() - began)
        return answer


class MeteredRateLimiter:
    """A Budget whose waits and 429s are counted."""

    def __init__(
        self, budget: RateLimiter, meters: AccountMetrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._budget = budget
        self._meters = meters
        self._clock = clock

    @property
    def probing(self) -> bool:
        return self._budget.probing

    def acquire(self) -> None:
        started = self._clock()
        try:
            self._budget.acquire()
        finally:
            self._meters.waited(self._clock() - started)

    def push_back(self, seconds: float) -> None:
        self._meters.pushed_back()
        self._budget.push_back(seconds)

    def stop(self, error: CrmStopped) -> None:
        self._budget.stop(error)

    def resume(self) -> None:
        self._budget.resume()

    def stopped(self) -> CrmStopped | None:
        return self._budget.stopped()


# --- the last requests to amoCRM --------------------------------------------------------------------------------------
# With status, duration, and on whose behalf. Each process gathers its own in memory and writes them down some at a
# time; the newest thousand of an account stay. No values of parameters and nothing of bodies is kept: phones and mails
# stand there.

MOST_KEPT = 1000
EVERY_SECONDS = 5.0
LONGEST_PATH, LONGEST_WHY = 300, 300
OWN_PATHS = ("/api/", "/v1.0/", "/oauth2/")

_why: ContextVar[str] = ContextVar("why", default="")


@contextmanager
def on_behalf_of(words: str) -> Iterator[None]:
    """What is asked of amoCRM meanwhile, in this thread, is for this (Russian); what is said further inside counts."""
    token = _why.set(words)
    try:
        yield
    finally:
        _why.reset(token)


@dataclass(frozen=True)
class SentRequest:
    """``at``: Unix seconds, when it was answered. ``status``: None: there was no answer. ``why``: empty if that is not
    known."""

    at: float
    method: str
    path: str
    status: int | None
    milliseconds: int
    why: str


def masked(url: str) -> str:
    """The path with the names of its parameters; of an address that is not amoCRM's API only the host."""
    parts = urlsplit(url)
    if not parts.path.startswith(OWN_PATHS):
        return f"{parts.netloc}/…"
    names = dict.fromkeys(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return (parts.path + (f"?{'&'.join(names)}" if names else ""))[:LONGEST_PATH]


class RequestBuffer:
    """What this process has sent and not written down yet. Safe for several threads."""

    def __init__(self) -> None:
        self._rows: deque[SentRequest] = deque(maxlen=MOST_KEPT)

    def add(self, method: str, url: str, status: int | None, seconds: float) -> None:
        row = SentRequest(time.time(), method, masked(url), status, round(seconds * 1000), _why.get()[:LONGEST_WHY])
        self._rows.append(row)

    def take(self) -> list[SentRequest]:
        taken = []
        while self._rows:
            try:
                taken.append(self._rows.popleft())
            except IndexError:  # another thread took the last one
                break
        return taken

    def put_back(self, rows: Sequence[SentRequest]) -> None:
        """Before those that have come since; what there is no room for, the oldest, is lost."""
        room = MOST_KEPT - len(self._rows)
        self._rows.extendleft(reversed(rows[max(len(rows) - room, 0) :]))


class RequestLog:
    """One account's, of all processes."""

    def __init__(self, store: AccountStore, buffer: RequestBuffer) -> None:
        self._store = store
        self._buffer = buffer
        self._next_at = 0.0
        self._lock = threading.Lock()

    def keep_now_and_then(self) -> None:
        """Write down what was gathered, at most every few seconds. Whatever goes wrong is no trouble of the caller's;
        an outage of the store is waited out."""
        if self._next_at <= time.monotonic():
            self._next_at = time.monotonic() + EVERY_SECONDS
            try:
                self.keep()
            except StoreUnavailable:
                return
            except Exception as error:  # noqa: BLE001 - whoever works must not end for what only tells of the work
                log.error("requests not written down", error=f"{type(error).__name__}: {error}")

    def keep(self) -> None:
        """Raises StoreUnavailable; then it is kept for the next time."""
        with self._lock:
            rows = self._buffer.take()
            if not rows:
                return
            mine = self._store.owns(sent_requests)
            oldest = select(sent_requests.c.id).where(mine).order_by(sent_requests.c.id.desc())
            last_kept = oldest.offset(MOST_KEPT - 1).limit(1).scalar_subquery()
            try:
                with self._store.store.write() as connection:
                    told = [{"account": self._store.account_id, **asdict(row)} for row in rows]
                    connection.execute(insert(sent_requests), told)
                    connection.execute(delete(sent_requests).where(mine, sent_requests.c.id < last_kept))
            except StoreUnavailable:
                self._buffer.put_back(rows)
                raise

    def last(self, most: int, *, only_failed: bool = False, text: str = "") -> list[SentRequest]:
        """Newest first; also those of a process that wrote them down late. ``only_failed``: those that amoCRM refused
        or did not answer. ``text``: in path or why."""
        query = select(sent_requests).where(self._store.owns(sent_requests))
        if only_failed:
            query = query.where(or_(sent_requests.c.status.is_(None), sent_requests.c.status >= 400))
        if text:
            places = (sent_requests.c.path, sent_requests.c.why)
            query = query.where(or_(*(place.contains(text, autoescape=True) for place in places)))
        with self._store.read() as connection:
            rows = connection.execute(query.order_by(sent_requests.c.id.desc()).limit(most)).all()
        names = SentRequest.__dataclass_fields__
        found = [SentRequest(**{name: getattr(row, name) for name in names}) for row in rows]
        return sorted(found, key=lambda one: one.at, reverse=True)
