"""On duty: one thread that leads the account when nobody else does, and stands by while somebody does."""

from __future__ import annotations

import threading
from typing import Protocol

import structlog

from amo_bridge.engine.leader import Lead, Leadership
from amo_bridge.errors import StoreUnavailable

log = structlog.get_logger()
# How often a standby tries the lock, and a leader looks whether it is still his.
LOOK_EVERY = 1.0


class Work(Protocol):
    """What only the leader does."""

    def begin(self, lead: Lead) -> bool:
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


class Duty:
    """``run()`` returns when ``stopping`` is set, or when the work refuses to begin for good."""

    def __init__(self, leadership: Leadership, work: Work, stopping: threading.Event) -> None:
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

    def _take(self) -> Lead | None:
        try:
            lead = self._leadership.take()
        except StoreUnavailable as error:
            log.error("can't ask who leads", error=str(error))
            self._work.stand_by(str(error))
            return None
        if lead is None:
            self._work.stand_by("")
        return lead

    def _watch(self, lead: Lead) -> None:
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
