"""Clock of the account: real time by default, movable, so that a week passes in a second of a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Moved = Callable[[int], None]


class SandboxClock:
    """Unix seconds, as amoCRM counts them. Safe to use from any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._offset = 0.0
        self._frozen_at: float | None = None
        self._listeners: list[Moved] = []

    def now(self) -> int:
        """The account's time in Unix seconds (UTC)."""
        with self._guard:
            return int(self._exact())

    def advance(self, seconds: float) -> int:
        """Moves the clock by ``seconds`` (backwards if negative), frozen or not, and returns the new time."""
        with self._guard:
            if self._frozen_at is None:
                self._offset += seconds
            else:
                self._frozen_at += seconds
        return self._notify()

    def set(self, at: float) -> int:
        """Sets the clock to the Unix second ``at``; it goes on from there unless it is frozen."""
        with self._guard:
            if self._frozen_at is None:
                self._offset = at - time.time()
            else:
                self._frozen_at = at
        return self._notify()

    def freeze(self) -> int:
        """Stops the clock where it is."""
        with self._guard:
            self._frozen_at = self._exact()
            return int(self._frozen_at)

    def unfreeze(self) -> int:
        """Lets a frozen clock go on from the time it shows."""
        with self._guard:
            if self._frozen_at is not None:
                self._offset = self._frozen_at - time.time()
                self._frozen_at = None
            return int(self._exact())

    @property
    def is_frozen(self) -> bool:
        with self._guard:
            return self._frozen_at is not None

    def subscribe(self, listener: Moved) -> None:
        """``listener(now)`` is called after every ``advance`` and ``set``, in the thread that moved the clock."""
        self._listeners.append(listener)

    def state(self) -> dict[str, float | None]:
        """What a restarted sandbox needs to go on with the same time."""
        with self._guard:
            return {"offset": self._offset, "frozen_at": self._frozen_at}

    def restore(self, offset: float, frozen_at: float | None) -> None:
        """Takes over what ``state`` gave; listeners are not called."""
        with self._guard:
            self._offset, self._frozen_at = offset, frozen_at

    def _exact(self) -> float:
        return time.time() + self._offset if self._frozen_at is None else self._frozen_at

    def _notify(self) -> int:
        now = self.now()
        for listener in self._listeners:
            listener(now)
        return now
