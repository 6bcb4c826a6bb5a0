"""Request log: the last requests to amoCRM with status, duration, and on whose behalf.

Each process gathers its own in memory and writes them down some at a time; the newest thousand of an account stay. No
values of parameters and nothing of bodies is kept: phones and mails stand there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import delete, insert, or_, select

from amo_bridge.errors import StoreUnavailable
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import sent_requests

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
