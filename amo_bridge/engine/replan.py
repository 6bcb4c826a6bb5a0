"""The rules that plan steps have changed: all steps are planned anew, in portions, going on where it stopped.

A rule is known by its digest. One that is new begins now, and that moment is kept for ever: what was on its stages
before is *existing* for it. One that is gone or switched off loses its open steps at once; what comes while it is off
is existing for it too when it is on again, so the pause is kept as well.
"""

from __future__ import annotations

import structlog
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.engine.in_force import InForce
from amo_bridge.engine.timers import OPEN, Timers
from amo_bridge.engine.timetable import Timetable
from amo_bridge.mirror.deals import Mirror
from amo_bridge.storage.accounts import REPLANNED_TO, Cursors
from amo_bridge.storage.database import Store, insert_or_replace
from amo_bridge.storage.tables import schedules, timers

log = structlog.get_logger()
# Up to which deal the steps have been planned anew.
CHUNK = 250
# The worker does nothing else meanwhile; a chunk takes some hundred milliseconds.
CHUNKS_IN_A_ROW = 4
SWITCHED_OFF = ""


class Replan:
    """``clock`` is the account's."""

    def __init__(self, store: Store, account_key: int, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._clock = clock
        self._timers = Timers(account_key)
        self._mirror = Mirror(store, account_key)
        self._cursors = Cursors(store, account_key)

    def begin(self, timetable: Timetable) -> None:
        """See what has changed since last time. To be called before anything is planned by this timetable."""
        with self._store.write() as connection:
            known = {row.rule: row for row in connection.execute(select(schedules).where(self._mine())).all()}
            off = [
                name
                for name, row in known.items()
                if name not in timetable.digests and row.digest != SWITCHED_OFF
            ]  # fmt: skip
            changed = [
                name
                for name, digest in timetable.digests.items()
                if name not in known or known[name].digest != digest
            ]  # fmt: skip
            # amoCRM's times have whole seconds: what comes onto a stage in this very second is news.
            now = float(int(self._clock.now().timestamp()))
            before = {name: InForce.of(row) for name, row in known.items()}
            rows = [self._row(name, before[name].switched_off(now), SWITCHED_OFF) for name in off] + [
                self._row(name, before.get(name, InForce(now)).switched_on(now), timetable.digests[name])
                for name in changed
            ]
            insert_or_replace(connection, schedules, ("account", "rule"), rows)
            if off:
                gone = timers.c.rule.in_(off)
                connection.execute(delete(timers).where(timers.c.account == self._key, timers.c.state == OPEN, gone))
            if changed:
                self._cursors.write(connection, REPLANNED_TO, 0.0)
                log.info("steps are planned anew", rules=sorted(changed))

    def is_done(self, connection: Connection) -> bool:
        unplanned = select(func.count()).select_from(schedules).where(self._mine(), schedules.c.is_planned == 0)
        return not connection.execute(unplanned).scalar_one()

    def run(self, timetable: Timetable) -> bool:
        """The next portion, if there is one; is everything planned now? Raises StoreUnavailable."""
        with self._store.read() as connection:
            if self.is_done(connection):
                return True
        return any(self._chunk(timetable) for _ in range(CHUNKS_IN_A_ROW))

    def _chunk(self, timetable: Timetable) -> bool:
        """Plan some deals anew; is that the end?"""
        done_to = int(self._cursors.read(REPLANNED_TO) or 0)
        with self._store.write() as connection:
            copies = self._mirror.next_after(connection, done_to, CHUNK)
            self._timers.follow(connection, timetable, copies)
            if copies:
                self._cursors.write(connection, REPLANNED_TO, float(copies[-1].record.id))
            if len(copies) < CHUNK:
                connection.execute(update(schedules).where(self._mine()).values(is_planned=1))
                log.info("steps have been planned anew")
            return len(copies) < CHUNK

    def _mine(self) -> ColumnElement[bool]:
        return schedules.c.account == self._key

    def _row(self, rule: str, in_force: InForce, digest: str) -> dict[str, object]:
        return {
            "account": self._key,
            "rule": rule,
            "since": in_force.since,
            "pauses": in_force.pauses_json,
            "digest": digest,
            "is_planned": int(digest == SWITCHED_OFF),
        }
