"""Timers that have fallen due become events, by the same door as everything else, the oldest first.

What is due is a question to one index of the store; when nothing is, nothing else is asked, and amoCRM never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, literal_column, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.engine.intake import add_events
from amo_bridge.engine.timers import FIRED, OPEN, Timers
from amo_bridge.engine.timetable import Timetable
from amo_bridge.events import StepDue
from amo_bridge.mirror.deals import Mirror
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import timers

TOGETHER = 250
# The worker does nothing else meanwhile.
PORTIONS = 8


class DueSteps:
    """``account_clock`` says what is due; ``clock`` is the machine's, by which rows are received."""

    def __init__(self, store: Store, account_key: int, account_clock: Clock, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._account_clock = account_clock
        self._clock = clock
        self._timers = Timers(account_key)
        self._mirror = Mirror(store, account_key)

    def run(self, timetable: Timetable, again: Callable[[], None]) -> int:
        """Fire what is due; returns how many. ``again`` asks for the next run, if more is due."""
        fired = 0
        for _ in range(PORTIONS):
            some = self._fire(timetable)
            fired += some
            if some < TOGETHER:
                return fired
        again()
        return fired

    def _fire(self, timetable: Timetable) -> int:
        now = self._account_clock.now()
        with self._store.read() as connection:
            if connection.execute(self._due(now).limit(1)).first() is None:
                return 0
        with self._store.write() as connection:
            rows = connection.execute(self._due(now).limit(TOGETHER)).all()
            add_events(connection, self._key, [_event(row) for row in rows], self._clock.now().timestamp())
            fired = update(timers).where(timers.c.id.in_([row.id for row in rows]))
            connection.execute(fired.values(state=FIRED))
            self._plan_next(connection, timetable, rows)
        return len(rows)

    def _due(self, now: datetime) -> Select[Any]:
        # The state stands in the statement's own text: SQLite takes the partial index only for what it knows before.
        is_open = timers.c.state == literal_column(f"'{OPEN}'")
        due = timers.c.due_at <= now.timestamp()
        return select(timers).where(timers.c.account == self._key, is_open, due).order_by(timers.c.due_at, timers.c.id)

    def _plan_next(self, connection: Connection, timetable: Timetable, rows: Iterable[Row[Any]]) -> None:
        """A step that comes every year is followed by the next year's."""
        again = {row.deal_id for row in rows if row.rule in timetable.recurring}
        if again:
            self._timers.follow(connection, timetable, self._mirror.among(connection, again).values())


def _event(row: Row[Any]) -> StepDue:
    return StepDue(
        at=datetime.fromtimestamp(row.due_at, UTC),
        rule=row.rule,
        deal_id=row.deal_id,
        step=row.step,
        anchor=row.anchor,
        since=datetime.fromtimestamp(row.since, UTC),
    )
