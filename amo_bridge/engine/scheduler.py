"""Scheduler: due timers → events; timers planned anew when a date, a stage or the rules change.

A date of a contact that has changed plans the steps of his deals anew in the transaction that keeps the contact,
whether a hook told of it or the look for missed changes found it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, literal_column, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.engine.timers import FIRED, OPEN, InForce, Timers, Timetable
from amo_bridge.events import ContactDateChanged, Event, StepDue
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import Renewed
from amo_bridge.mirror.deals import Mirror
from amo_bridge.storage.accounts import CLOCK_AHEAD, REPLANNED_TO, Cursors
from amo_bridge.storage.database import AccountStore, insert_or_replace
from amo_bridge.storage.tables import schedules, timers


class ContactDates:
    """Reports changed dates of contacts as events of their deals."""

    def __init__(self, store: AccountStore, clock: Clock, rules: CurrentRules) -> None:
        self._key = store.account_id
        self._clock = clock
        self._rules = rules
        self._mirror = Mirror(store)
        self._timers = Timers(store.account_id)

    def follow(self, connection: Connection, renewed: Sequence[Renewed]) -> None:
        """The kept fields or the deals of these contacts are others than before."""
        rules = self._rules.get()
        timetable, viewer = rules.timetable, rules.viewer
        if not timetable.contact_dates:
            return
        contacts = {one.now.id: one for one in renewed}
        deal_ids = {deal_id for one in renewed for deal_id in one.now.deal_ids}
        copies = self._mirror.among(connection, deal_ids).values()
        own = [(copy, contacts[one]) for copy in copies for one in copy.record.contact_ids if one in contacts]
        self._timers.follow(connection, timetable, [copy for copy, _ in own])
        told = [event for copy, contact in own for event in _date_changes(copy.record.id, contact, timetable, viewer)]
        add_events(connection, self._key, told, self._clock.now().timestamp())


def _date_changes(deal_id: int, contact: Renewed, timetable: Timetable, viewer: Viewer) -> Iterator[Event]:
    """Of every date that counts and is another one. What was empty has set no task that would have to follow."""
    if contact.before is None:
        return
    before, now = viewer.contact(contact.before), viewer.contact(contact.now)
    for name in sorted(timetable.contact_dates):
        old, new = before.text(name), now.text(name)
        if old and old != new:
            yield ContactDateChanged(
                at=contact.now.updated_at,
                deal_id=deal_id,
                contact_id=contact.now.id,
                field_name=name,
                old=old,
                new=new or None,
            )


# Timers that have fallen due become events, by the same door as everything else, the oldest first.
#
# What is due is a question to one index of the store; when nothing is, nothing else is asked, and amoCRM never.

BATCH_SIZE = 250
# The worker does nothing else meanwhile.
BATCHES_PER_TICK = 8


class DueTimers:
    """``account_clock`` says what is due; ``clock`` is the machine's, by which rows are received."""

    def __init__(self, store: AccountStore, account_clock: Clock, clock: Clock) -> None:
        self._store = store
        self._account_clock = account_clock
        self._clock = clock
        self._timers = Timers(store.account_id)
        self._mirror = Mirror(store)

    def run(self, timetable: Timetable, again: Callable[[], None]) -> int:
        """Fire what is due; returns how many. ``again`` asks for the next run, if more is due."""
        fired = 0
        for _ in range(BATCHES_PER_TICK):
            some = self._fire(timetable)
            fired += some
            if some < BATCH_SIZE:
                return fired
        again()
        return fired

    def _fire(self, timetable: Timetable) -> int:
        now = self._account_clock.now()
        with self._store.read() as connection:
            if connection.execute(self._due(now).limit(1)).first() is None:
                return 0
        with self._store.write() as connection:
            rows = connection.execute(self._due(now).limit(BATCH_SIZE)).all()
            add_events(connection, self._store.account_id, [_event(row) for row in rows], self._clock.now().timestamp())
            fired = update(timers).where(timers.c.id.in_([row.id for row in rows]))
            connection.execute(fired.values(state=FIRED))
            self._plan_next(connection, timetable, rows)
        return len(rows)

    def _due(self, now: datetime) -> Select[Any]:
        # The state stands in the statement's own text: SQLite takes the partial index only for what it knows before.
        is_open = timers.c.state == literal_column(f"'{OPEN}'")
        due = timers.c.due_at <= now.timestamp()
        return select(timers).where(self._store.owns(timers), is_open, due).order_by(timers.c.due_at, timers.c.id)

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


# The rules that plan steps have changed: all steps are planned anew, in portions, going on where it stopped.
#
# A rule is known by its digest. One that is new begins now, and that moment is kept for ever: what was on its stages
# before is *existing* for it. One that is gone or switched off loses its open steps at once; what comes while it is off
# is existing for it too when it is on again, so the pause is kept as well.

# Up to which deal the steps have been planned anew.
REPLAN_BATCH_SIZE = 250
# The worker does nothing else meanwhile; a chunk takes some hundred milliseconds.
REPLAN_BATCHES_PER_TICK = 4
SWITCHED_OFF = ""


class Replanner:
    """``clock`` is the account's."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._timers = Timers(store.account_id)
        self._mirror = Mirror(store)
        self._cursors = Cursors(store)

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
                connection.execute(delete(timers).where(self._store.owns(timers), timers.c.state == OPEN, gone))
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
        return any(self._chunk(timetable) for _ in range(REPLAN_BATCHES_PER_TICK))

    def _chunk(self, timetable: Timetable) -> bool:
        """Plan some deals anew; is that the end?"""
        done_to = int(self._cursors.read(REPLANNED_TO) or 0)
        with self._store.write() as connection:
            copies = self._mirror.next_after(connection, done_to, REPLAN_BATCH_SIZE)
            self._timers.follow(connection, timetable, copies)
            if copies:
                self._cursors.write(connection, REPLANNED_TO, float(copies[-1].record.id))
            if len(copies) < REPLAN_BATCH_SIZE:
                connection.execute(update(schedules).where(self._mine()).values(is_planned=1))
                log.info("steps have been planned anew")
            return len(copies) < REPLAN_BATCH_SIZE

    def _mine(self) -> ColumnElement[bool]:
        return self._store.owns(schedules)

    def _row(self, rule: str, in_force: InForce, digest: str) -> dict[str, object]:
        return {
            "account": self._store.account_id,
            "rule": rule,
            "since": in_force.since,
            "pauses": in_force.pauses_json,
            "digest": digest,
            "is_planned": int(digest == SWITCHED_OFF),
        }


# The clock's side of the worker: what to do when APScheduler rings, and when the config has changed.

# Two clocks that differ by less are taken for one.
NOTEWORTHY = 60.0


class Scheduler:
    def __init__(self, store: AccountStore, account_clock: Clock, clock: Clock) -> None:
        self._replan = Replanner(store, account_clock)
        self._due = DueTimers(store, account_clock, clock)
        self._timetable: Timetable | None = None
        self._store = store
        self._account_clock = account_clock
        self._clock = clock
        self._cursors = Cursors(store)
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
