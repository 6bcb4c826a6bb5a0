"""The budget of one process, for commands that run without a store."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from amo_bridge.crm.budget import (
    HORIZON,
    LONGEST_WAIT,
    MICROSECOND,
    PROBE_EVERY,
    RATE,
    spacing,
    stopped_error,
    too_long,
)
from amo_bridge.errors import CrmStopped


class LocalBudget:
    """See Budget; kept in memory."""

    def __init__(
        self,
        rate: float = RATE,
        *,
        longest_wait: float = LONGEST_WAIT,
        probe_every: float = PROBE_EVERY,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spacing = spacing(rate) / MICROSECOND
        self._longest_wait = longest_wait
        self._probe_every = probe_every
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._next_free = float("-inf")
        self._stopped: CrmStopped | None = None
        self._next_probe = 0.0
        self._probing = False

    @property
    def probing(self) -> bool:
        """Whether the last ``acquire`` let a probe through a burnt fuse."""
        return self._probing

    def acquire(self) -> None:
        """Block until one request may be sent; see Budget."""
        while (wait := self._try()) > 0:
            if wait > self._longest_wait:
                raise too_long(wait)
            self._sleep(wait)

    def push_back(self, seconds: float) -> None:
        """Nobody sends anything for so many seconds."""
        with self._lock:
            self._next_free = max(self._next_free, self._clock() + min(seconds, HORIZON))

    def stop(self, error: CrmStopped) -> None:
        """Burn the fuse."""
        with self._lock:
            self._stopped = error
            self._next_probe = self._clock() + self._probe_every

    def resume(self) -> None:
        """Replace the fuse."""
        with self._lock:
            self._stopped = None
            self._probing = False

    def stopped(self) -> CrmStopped | None:
        """Why nothing is sent, or None."""
        return self._stopped

    def _try(self) -> float:
        """Take the turn and answer 0, or answer how many seconds are left until it may come."""
        with self._lock:
            now = self._clock()
            if self._stopped is not None and now < self._next_probe:
                raise stopped_error(type(self._stopped).__name__, self._stopped.detail)
            if now < self._next_free:
                return self._next_free - now
            self._next_free = now + self._spacing
            self._probing = self._stopped is not None
            self._next_probe = now + self._probe_every
            return 0.0
