"""Timeline of a vendor: rings, answers, webhooks and their repeats, each at its time."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

POLL_SECONDS = 0.1
"""How soon a live timeline sees that something is due."""


class Timeline:
    """Unix seconds, real or moved by hand. Actions run in the order in which they are due, each under ``lock`` unless
    it asks others over the network. ``live``: by a thread of its own; else only when the time is moved."""

    def __init__(self, *, live: bool = True) -> None:
        self.lock = threading.RLock()
        self._due: list[tuple[float, int, Callable[[], None], bool]] = []
        self._numbers = itertools.count()
        self._ahead = 0.0
        self._stands_at = None if live else time.time()
        self._one_at_a_time = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stand-ins", daemon=True)
        if live:
            self._thread.start()

    def now(self) -> float:
        """Unix seconds."""
        return time.time() + self._ahead if self._stands_at is None else self._stands_at

    def at(self, seconds: float, action: Callable[[], None], *, asks_others: bool = False) -> None:
        """Do it so many seconds from now."""
        with self.lock:
            heapq.heappush(self._due, (self.now() + seconds, next(self._numbers), action, asks_others))

    def advance(self, seconds: float = 0) -> None:
        """Let so much time pass; all that is due meanwhile has happened when this returns."""
        until = self.now() + seconds
        self._run_due(until)
        if self._stands_at is None:
            self._ahead += max(0.0, until - self.now())
        else:
            self._stands_at = until

    def waiting(self) -> int:
        """How much is still to happen."""
        with self.lock:
            return len(self._due)

    def close(self) -> None:
        """Nothing happens any more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            self._run_due(self.now())

    def _run_due(self, until: float) -> None:
        with self._one_at_a_time:
            while (action := self._next(until)) is not None:
                action()

    def _next(self, until: float) -> Callable[[], None] | None:
        with self.lock:
            if not self._due or self._due[0][0] > until or self._stopped.is_set():
                return None
            due, _, action, asks_others = heapq.heappop(self._due)
            if self._stands_at is not None:
                self._stands_at = max(self._stands_at, due)
            else:
                self._ahead += max(0.0, due - self.now())
        return action if asks_others else lambda: self._locked(action)

    def _locked(self, action: Callable[[], None]) -> None:
        with self.lock:
            action()
