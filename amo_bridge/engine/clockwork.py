"""The clock's side of the worker: what to do when APScheduler rings, and when the config has changed."""

from __future__ import annotations

from collections.abc import Callable

from amo_bridge.clock import Clock
from amo_bridge.engine.due_steps import DueSteps
from amo_bridge.engine.replan import Replan
from amo_bridge.engine.timetable import Timetable
from amo_bridge.storage.accounts import CLOCK_AHEAD, Cursors
from amo_bridge.storage.database import Store

# Two clocks that differ by less are taken for one.
NOTEWORTHY = 60.0


class Clockwork:
    def __init__(self, store: Store, account_key: int, account_clock: Clock, clock: Clock) -> None:
        self._replan = Replan(store, account_key, account_clock)
        self._due = DueSteps(store, account_key, account_clock, clock)
        self._timetable: Timetable | None = None
        self._store = store
        self._account_clock = account_clock
        self._clock = clock
        self._cursors = Cursors(store, account_key)
        self._known_ahead = 0.0

    def begin(self, timetable: Timetable) -> None:
        """From now on steps are planned by this timetable."""
        self._tell_the_clock()
        self._replan.begin(timetable)
        self._timetable = timetable

    def tick(self, again: Callable[[], None]) -> None:
        """Plan anew what must be, and fire what is due; ``again`` asks for the next tick at once."""
        if self._timetable is None:
            return
        self._tell_the_clock()
        if self._replan.run(self._timetable):
            self._due.run(self._timetable, again)
        else:
            again()

    def _tell_the_clock(self) -> None:
        """How far amoCRM's clock is ahead of ours, for commands and pages that can't ask it."""
        ahead = (self._account_clock.now() - self._clock.now()).total_seconds()
        if abs(ahead - self._known_ahead) > NOTEWORTHY:
            self._known_ahead = ahead
            with self._store.write() as connection:
                self._cursors.write(connection, CLOCK_AHEAD, ahead)
