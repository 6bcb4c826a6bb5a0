"""Locks between processes: advisory locks on PostgreSQL, files beside a SQLite database.

The database or the kernel frees them when the session or the process that holds them ends, however it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from amo_bridge.errors import StoreUnavailable
from amo_bridge.file_lock import try_file_lock
from amo_bridge.logs import log
from amo_bridge.private_files import make_folder

# Locks belong to the whole database; two bridges in two schemas of it must not get in each other's way.
KEY = "hashtextextended('amo-bridge ' || current_schema() || ' ' || :name, 0)"
# A machine that lost its power does not say goodbye: the server asks after it, and lets go after some ten seconds.
ASK_AFTER = ("tcp_keepalives_idle = 5", "tcp_keepalives_interval = 2", "tcp_keepalives_count = 3")
PATIENCE = 60
# One question a second is enough for all the locks of a process.
TRUST = 0.5


class Locks(Protocol):
    """Locks by name, freed when the process dies. Everything raises StoreUnavailable."""

    def take(self, name: str) -> bool:
        """Take the lock if it is free."""

    def holds(self, name: str) -> bool:
        """Is it still ours?"""

    def give_back(self, name: str) -> None:
        """Let somebody else have it."""

    def close(self) -> None:
        """Give everything back."""


@contextmanager
def advisory_lock(engine: Engine, name: str) -> Iterator[None]:
    """Hold the lock; waits for whoever has it, a minute at most. Raises StoreUnavailable."""
    with own_session(engine) as session:
        with _store_errors(session.engine):
            session.execute(text(f"SET lock_timeout = '{PATIENCE}s'"))
            session.execute(text(f"SELECT pg_advisory_lock({KEY})"), {"name": name})
        yield


class AdvisoryLocks:
    """Locks held for long: all those of a process on one connection, so that a thousand accounts cost one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None
        self._held: set[str] = set()
        self._answered_at = float("-inf")
        self._turn = Lock()

    def take(self, name: str) -> bool:
        """Take the lock if it is free. Raises StoreUnavailable."""
        with self._turn:
            if name in self._held:
                return False
            with self._guarded() as session:
                taken = session.execute(text(f"SELECT pg_try_advisory_lock({KEY})"), {"name": name}).scalar_one()
            if taken:
                self._held.add(name)
            return bool(taken)

    def holds(self, name: str) -> bool:
        """Is it still ours? The locks are gone when their connection is."""
        with self._turn:
            if name in self._held and monotonic() - self._answered_at > TRUST:
                try:
                    with self._guarded() as session:
                        session.execute(text("SELECT 1"))
                except StoreUnavailable:
                    return False
            return name in self._held

    def give_back(self, name: str) -> None:
        """Let somebody else have it. Does nothing if it is lost already."""
        with self._turn:
            if name not in self._held:
                return
            with self._guarded() as session:
                session.execute(text(f"SELECT pg_advisory_unlock({KEY})"), {"name": name})
            self._held.discard(name)

    def close(self) -> None:
        """Give everything back."""
        with self._turn:
            self._drop()

    @contextmanager
    def _guarded(self) -> Iterator[Connection]:
        """The connection; when it fails, it is left, and with it all locks, which the database then knows as well."""
        try:
            with _store_errors(self._engine):
                if self._session is None:
                    self._session = own_session(self._engine)
                    for setting in ASK_AFTER:
                        self._session.execute(text(f"SET {setting}"))
                yield self._session
        except StoreUnavailable:
            self._drop()
            raise
        self._answered_at = monotonic()

    def _drop(self) -> None:
        session, self._session = self._session, None
        self._held.clear()
        if session is not None:
            try:
                # Not invalidate(): of a detached connection it only forgets, and the session would live on.
                session.close()
            except DBAPIError as error:
                # A connection that has failed may fail again at the farewell; it is gone all the same.
                log.debug("farewell failed", error=str(error))


def own_session(engine: Engine) -> Connection:
    """A connection of its own, outside the pool: closing it ends the session."""
    with _store_errors(engine):
        session = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        session.detach()
        return session


@contextmanager
def _store_errors(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        address = engine.url.render_as_string(hide_password=True)
        raise StoreUnavailable(f"база {address} не отвечает: {error.orig}") from error


class FileLocks:
    """Locks among the processes of one machine, which is where SQLite's are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, Callable[[], None]] = {}

    def take(self, name: str) -> bool:
        try:
            make_folder(self._folder)
            release = None if name in self._held else try_file_lock(self._folder / f"{name}.lock")
        except OSError as error:
            raise StoreUnavailable(f"{self._folder}: {error}") from error
        if release is not None:
            self._held[name] = release
        return release is not None

    def holds(self, name: str) -> bool:
        return name in self._held

    def give_back(self, name: str) -> None:
        if release := self._held.pop(name, None):
            release()

    def close(self) -> None:
        for name in list(self._held):
            self.give_back(name)


def locks_for(engine: Engine, folder: Path) -> Locks:
    """The kind of locks that everybody sees who shares the database."""
    return AdvisoryLocks(engine) if engine.dialect.name == "postgresql" else FileLocks(folder)
