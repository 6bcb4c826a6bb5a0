"""Leader election: one process works for an account, standbys take over within seconds.

A lock that the kernel or the database frees at death says who leads: a file's on SQLite, an advisory one on PostgreSQL.
A leader who was only asleep (a paused machine) may find the lock gone without noticing. So each new leader counts
the epoch in ``leaders`` up, and everything the leader writes looks at it in the same transaction, and before each call.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import func, select, update
from sqlalchemy.engine import Connection, Row

from amo_bridge.clock import Clock
from amo_bridge.errors import LeadLost, StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.locks import Locks
from amo_bridge.storage.tables import leaders

# A leader that falls asleep within a transaction would keep its successor waiting for the row: PostgreSQL ends it.
ASLEEP = "30s"


class Lease:
    """One term of leading. ``hold`` and ``check`` raise LeadLost when somebody else has begun another."""

    def __init__(self, store: AccountStore, epoch: int) -> None:
        self._store = store
        self._epoch = epoch
        self._present = select(leaders.c.epoch).where(store.owns(leaders))

    def hold(self, connection: Connection) -> None:
        """Within a transaction that writes: nobody takes over before it is committed."""
        query = self._present
        if connection.dialect.name == "postgresql":
            patience = func.set_config("idle_in_transaction_session_timeout", ASLEEP, True)
            query = query.add_columns(patience).with_for_update(read=True)
        self._compare(connection.execute(query).first())

    def check(self) -> None:
        """To be called before every write. Raises LeadLost."""
        with self._store.read() as connection:
            self._compare(connection.execute(self._present).first())

    def _compare(self, row: Row[Any] | None) -> None:
        if row is None or row.epoch != self._epoch:
            raise LeadLost("другой процесс ведёт этот аккаунт")


class LeaderStore(AccountStore):
    """The account's store while leading it: nothing is committed by one who leads no longer."""

    def __init__(self, store: AccountStore, lead: Lease) -> None:
        super().__init__(store.store, store.account_id)
        self._lead = lead

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            self._lead.hold(connection)
            yield connection


class LeaderElection:
    """One process's wish to lead an account."""

    def __init__(self, store: AccountStore, locks: Locks, clock: Clock) -> None:
        self._store = store
        self._locks = locks
        self._clock = clock
        self._name = f"leader-{store.account_id}"

    def take(self) -> Lease | None:
        """Begin to lead if nobody does; None otherwise. Raises StoreUnavailable."""
        if not self._locks.take(self._name):
            return None
        try:
            return Lease(self._store, self._next_epoch())
        except StoreUnavailable:
            self.give_back()
            raise

    def is_held(self) -> bool:
        """Is the lock still ours? (Whether the epoch is, every write finds out by itself.)"""
        return self._locks.holds(self._name)

    def give_back(self) -> None:
        """Let another process lead."""
        try:
            self._locks.give_back(self._name)
        except StoreUnavailable:
            # Then the connection is gone, and the lock with it.
            return

    def _next_epoch(self) -> int:
        mine = self._store.owns(leaders)
        now = self._clock.now().timestamp()
        holder = f"{socket.gethostname()}:{os.getpid()}"[:120]
        with self._store.write() as connection:
            insert_new(
                connection, leaders, [{"account": self._store.account_id, "epoch": 0, "since": now, "holder": ""}]
            )
            taken = update(leaders).where(mine).values(epoch=leaders.c.epoch + 1, since=now, holder=holder)
            return int(connection.execute(taken.returning(leaders.c.epoch)).scalar_one())


# Leader loop: one thread that takes the account's lease and runs the leader's work, or waits as a standby.

# How often a standby tries the lock, and a leader looks whether it is still his.
LOOK_EVERY = 1.0


class Work(Protocol):
    """What only the leader does."""

    def begin(self, lead: Lease) -> bool:
        """Start working; keeps trying until it works. False: not any more (stopped, or the lead is lost)."""

    @property
    def wants_to_begin_anew(self) -> bool:
        """There is something new (a config) that counts from a beginning on."""

    def goes_on(self) -> bool:
        """False when the work has found out by itself that somebody else leads."""

    def end(self) -> None:
        """Finish what is in hand and stop. Does nothing if nothing was begun."""

    def stand_by(self, trouble: str) -> None:
        """Somebody else leads; or nobody can, because of ``trouble``."""


class LeaderLoop:
    """``run()`` returns when ``stopping`` is set, or when the work refuses to begin for good."""

    def __init__(self, leadership: LeaderElection, work: Work, stopping: threading.Event) -> None:
        self.is_leading = False
        self._leadership = leadership
        self._work = work
        self._stopping = stopping
        self._called = threading.Event()

    def call(self) -> None:
        """Look at once: there is something new, or ``stopping`` was set."""
        self._called.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            lead = self._take()
            if lead is None:
                self._stopping.wait(LOOK_EVERY)
                continue
            log.info("leading")
            try:
                self.is_leading = True
                if self._work.begin(lead):
                    self._watch(lead)
            finally:
                self.is_leading = False
                self._work.end()
                self._leadership.give_back()

    def _take(self) -> Lease | None:
        try:
            lead = self._leadership.take()
        except StoreUnavailable as error:
            log.error("can't ask who leads", error=str(error))
            self._work.stand_by(str(error))
            return None
        if lead is None:
            self._work.stand_by("")
        return lead

    def _watch(self, lead: Lease) -> None:
        """Returns when the lead is lost or the process is to stop."""
        while not self._pause():
            if not (self._leadership.is_held() and self._work.goes_on()):
                log.warning("lead lost")
                return
            if self._work.wants_to_begin_anew:
                # The same term of leading: nobody else can come in between.
                self._work.end()
                if not self._work.begin(lead):
                    return

    def _pause(self) -> bool:
        """Until the next look; True when there is to be none."""
        self._called.wait(LOOK_EVERY)
        self._called.clear()
        return self._stopping.is_set()
