"""Clocks: the system's, the account's (amoCRM's time), and a fixed one that tests move.

Nothing else asks what time it is: everything is handed a clock, so that tests can move it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

# amoCRM tells whole seconds, and its answers take some.
JUMP = timedelta(seconds=30)


class Clock(Protocol):
    """Something that knows the time."""

    def now(self) -> datetime:
        """The present moment: an aware datetime in UTC."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is moved: for tests, rehearsals and the sandbox.

    ``moment`` may be in any zone but must be aware; a naive one is a ValueError.
    """

    def __init__(self, moment: datetime) -> None:
        self._now = in_utc(moment)

    def now(self) -> datetime:
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Set the hands, back as well as forth."""
        self._now = in_utc(moment)

    def advance(self, step: timedelta) -> None:
        """Let ``step`` pass."""
        self._now += step


def in_utc(moment: datetime) -> datetime:
    """The moment in UTC. A naive one, which could mean any zone, is a ValueError."""
    if moment.utcoffset() is None:
        raise ValueError(f"a moment needs a time zone: {moment!r}")
    return moment.astimezone(UTC)


class AccountClock:
    """amoCRM's own clock, as its answers tell it: what happened is dated by it, so lateness must be measured by it.

    A machine's clock may be wrong, and a sandbox's may stand in another year. ``jumped`` is called when it turns out
    that it is quite another time than was thought (a machine slept, a clock was set): something may be due.
    """

    def __init__(self, base: Clock, jumped: Callable[[], None] = lambda: None) -> None:
        self.jumped = jumped
        self._base = base
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return self._base.now() + self._ahead

    def heard(self, server_time: datetime) -> None:
        """An answer came in just now and was dated so."""
        ahead = in_utc(server_time) - self._base.now()
        is_jump = abs(ahead - self._ahead) > JUMP
        self._ahead = ahead
        if is_jump:
            self.jumped()
