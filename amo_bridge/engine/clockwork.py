"""The clock's side of the worker: what to do when APScheduler rings, and when the config has changed."""

from __future__ import annotations

from collections.abc import Callable

from amo_bridge.clock import Clock
from amo_bridge.engine.due_steps import DueSteps
from amo_bridge.engine.replan import Replan
from amo_bridge.engine.store import Store
from amo_bridge.engine.timetable import Timetable


class Clockwork:
    def __init__(self, store: Store, account_key: int, account_clock: Clock, clock: Clock) -> None:
        self._replan = Replan(store, account_key, account_clock)
        self._due = DueSteps(store, account_key, account_clock, clock)
        self._timetable: Timetable | None = None

    def begin(self, timetable: Timetable) -> None:
        """From now on steps are planned by this timetable."""
        self._replan.begin(timetable)
        self._timetable = timetable

    def tick(self, again: Callable[[], None]) -> None:
        """Plan anew what must be, and fire what is due; ``again`` asks for the next tick at once."""
        if self._timetable is None:
            return
        if self._replan.run(self._timetable):
            self._due.run(self._timetable, again)
        else:
            again()
