"""Beginnings of shifts: who was at work in time, told by what he did in amoCRM or confirmed (S9).

::

    expected ─► begun              did something in amoCRM, pressed the button, confirmed on the page
        └─► reminded ─► escalated ─► begun (late)

A row is made for each person and working day shortly before the shift. Whatever comes first counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.model import Config, KpiSection, ShiftStartSection
from amo_bridge.crm.account import User
from amo_bridge.engine.alerts import notice_or_task
from amo_bridge.engine.effects import NO_DEAL, Effect, Kind
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.touches import TouchLog
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import outbox, shift_starts
from amo_bridge.text.names import same_name

RULE = "shift_start"
ABOUT = "Начало смены"
LONGEST_WHO = 160
Begun = Literal["done", "already"]


@dataclass(frozen=True, kw_only=True)
class ShiftStart:
    """One person's of one day. ``due``: when the shift begins; ``asked_at``: from when on he had the time to confirm;
    ``begun_by``: empty for what he did in amoCRM, else who confirmed it, and how."""

    number: int
    day: date
    user_id: int
    person: str
    due: datetime
    asked_at: datetime
    begun_at: datetime | None
    begun_by: str
    reminded_at: datetime | None
    escalated_at: datetime | None

    @property
    def is_late(self) -> bool:
        return self.begun_at is not None and self.begun_at > self.due


def shift_hour(kpi: KpiSection, day: date) -> time | None:
    """O'clock, when the shift of this day begins; None: the config does not say."""
    return kpi.event_days.get(day, kpi.shift)


def shift_people(engine: RuleEngine, section: ShiftStartSection, day: date) -> Iterator[User]:
    """Whose shift is looked at, as far as they are at work that day; nobody unless the config names them."""
    named: Sequence[str] = section.people or engine.config.kpi.people
    for user in sorted(engine.account.users, key=lambda one: one.name):
        if any(same_name(user.name, name) for name in named) and engine.people.is_at_work(user, day):
            yield user


class ShiftStarts:
    """One account's. Reads and writes raise StoreUnavailable when the store is."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        """``clock``: amoCRM's."""
        self._store = store
        self._clock = clock

    def of(self, number: int) -> ShiftStart | None:
        with self._store.read() as connection:
            row = connection.execute(select(shift_starts).where(*self._is(number))).first()
        return _start(row) if row is not None else None

    def between(self, first: date, last: date, user_id: int | None = None) -> list[ShiftStart]:
        """Of these days, by day and name."""
        wanted = [self._store.owns(shift_starts), shift_starts.c.day.between(first.isoformat(), last.isoformat())]
        if user_id is not None:
            wanted.append(shift_starts.c.user_id == user_id)
        query = select(shift_starts).where(*wanted).order_by(shift_starts.c.day, shift_starts.c.person)
        with self._store.read() as connection:
            return [_start(row) for row in connection.execute(query)]

    def make(self, connection: Connection, day: date, due: datetime, people: Iterable[tuple[int, str]]) -> None:
        """Expect these people (id, name), each once for a day."""
        now = self._clock.now()
        rows = [
            {
                "account": self._store.account_id, "day": day.isoformat(), "user_id": user_id, "person": person[:255],
                "due_at": due.timestamp(), "asked_at": max(due, now).timestamp(), "begun_by": "",
            }
            for user_id, person in people
        ]  # fmt: skip
        insert_new(connection, shift_starts, rows)

    def begin(self, connection: Connection, number: int, at: datetime, who: str) -> Begun:
        """``who``: empty for what was done in amoCRM."""
        is_open = (*self._is(number), shift_starts.c.begun_at.is_(None))
        values = {"begun_at": at.timestamp(), "begun_by": who[:LONGEST_WHO]}
        done = connection.execute(update(shift_starts).where(*is_open).values(values)).rowcount
        return "done" if done else "already"

    def mark_open(self, connection: Connection, number: int, **values: object) -> bool:
        """``reminded_at``, ``escalated_at``; False if the person has just begun."""
        is_open = (*self._is(number), shift_starts.c.begun_at.is_(None))
        return bool(connection.execute(update(shift_starts).where(*is_open).values(**values)).rowcount)

    def _is(self, number: int) -> tuple[Any, ...]:
        return (self._store.owns(shift_starts), shift_starts.c.id == number)


class ShiftStartJob:
    """A job: ``run()`` every minute. ``account_clock`` is amoCRM's."""

    def __init__(self, store: AccountStore, rules: CurrentRules, account_clock: Clock, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._account_clock = account_clock
        self._clock = clock
        self._starts = ShiftStarts(store, account_clock)

    def run(self) -> None:
        """Raises StoreUnavailable."""
        engine = self._rules.get()
        section = engine.config.shift_start
        if section is None or engine.config.bridge.dry_run:
            return
        now = self._account_clock.now()
        today = engine.calendar.local(now).date()
        due = shift_due(engine, engine.config, today)
        if due is None or now < due - section.ask_before:
            return
        is_over = is_shift_over(engine, today, now)
        people = [] if is_over else [(user.id, user.name) for user in shift_people(engine, section, today)]
        with self._store.write() as connection:
            self._starts.make(connection, today, due, people)
        waiting = {one.user_id: one for one in self._starts.between(today, today) if one.begun_at is None}
        if waiting:
            self._see_work(engine, waiting, engine.calendar.moment(today, time()), now)
            self._ask_again(engine, section, [one for one in waiting.values() if one.user_id in dict(people)], now)

    def _see_work(self, engine: RuleEngine, waiting: dict[int, ShiftStart], begin: datetime, now: datetime) -> None:
        """Whoever did something today has begun, and is waited for no longer."""
        first: dict[int, datetime] = {}
        log = TouchLog(self._store, engine.account.current_user_id)
        for _, touch in log.between(begin, now + timedelta(seconds=1)):
            if touch.user_id in waiting and touch.direction != "in":
                first.setdefault(touch.user_id or 0, touch.at)
        if first:
            with self._store.write() as connection:
                for user_id, at in first.items():
                    self._starts.begin(connection, waiting.pop(user_id).number, at, "")

    def _ask_again(
        self, engine: RuleEngine, section: ShiftStartSection, waiting: Collection[ShiftStart], now: datetime
    ) -> None:
        between = section.escalate_after - section.remind_after
        for one in waiting:
            if one.reminded_at is None and now >= one.asked_at + section.remind_after:
                at = engine.calendar.local(now + between)
                text = f"Смена началась, а вас ещё не видно. Подтвердите до {at:%H:%M}: потом узнает руководитель"
                row = notice_of(one, "remind", text, shift_page(engine.viewer.pages_url))
                self._put(one, [row], reminded_at=now.timestamp())
            elif one.reminded_at and one.escalated_at is None and now >= one.reminded_at + between:
                self._put(one, self._escalation(engine, section, one, now), escalated_at=now.timestamp())

    def _escalation(
        self, engine: RuleEngine, section: ShiftStartSection, one: ShiftStart, now: datetime
    ) -> list[Planned]:
        due = engine.calendar.local(one.due)
        text = f"{one.person}: смена в {due:%H:%M} не начата, ни действий в amoCRM, ни подтверждения"
        url, rule = shift_page(engine.viewer.pages_url), f"{RULE}.{one.number}"
        rows = notice_or_task(engine, rule, "escalate", section.escalate_to, text, ABOUT, url, now)
        if section.violation is not None:
            body = {
                "user_id": one.user_id, "clause": section.violation.clause, "penalty": section.violation.penalty,
                "at": int(now.timestamp()), "deal_name": "", "why": f"смена {one.day:%d.%m.%Y} не начата вовремя",
            }  # fmt: skip
            words = f"нарушение пункта {section.violation.clause} — {one.person}"
            rows = [*rows, _planned(one, "violation", "record_violation", body, words)]
        return rows

    def _put(self, one: ShiftStart, rows: Iterable[Planned], **marks: object) -> None:
        now = self._clock.now()
        with self._store.write() as connection:
            if self._starts.mark_open(connection, one.number, **marks):
                insert_new(connection, outbox, [row.row(self._store.account_id, now) for row in rows])


def shift_due(engine: RuleEngine, config: Config, day: date) -> datetime | None:
    """When the shift of a working day begins; None on a day off."""
    at = shift_hour(config.kpi, day)
    return engine.calendar.moment(day, at) if at and engine.calendar.is_working_day(day) else None


def is_shift_over(engine: RuleEngine, day: date, now: datetime) -> bool:
    """From then on nobody is asked, and nobody is told of: a bridge or a messenger that comes back at night."""
    section, due = engine.config.shift_start, shift_due(engine, engine.config, day)
    if section is None or due is None:
        return True
    return now >= max(engine.calendar.close_of(day), due + section.escalate_after)


def shift_page(pages_url: str) -> str:
    """Where the beginning is confirmed; empty while the bridge does not know its own address."""
    return f"{pages_url}/mine" if pages_url else ""


def notice_of(one: ShiftStart, step: str, text: str, url: str) -> Planned:
    """A notice to the person with the link to his page."""
    body = {"user_id": one.user_id, "text": text, "urgent": False, "about": ABOUT, "url": url}
    return _planned(one, step, "notify", body, text)


def _planned(one: ShiftStart, step: str, kind: Kind, body: dict[str, Any], words: str) -> Planned:
    """Once for a step. Each is a rule of its own, as the outbox sees it: those of several people must not become one
    notice with a list."""
    rule = f"{RULE}.{one.number}"
    return Planned(None, rule, f"{rule}|{step}|{one.user_id}", Effect(kind, NO_DEAL, body, words))


def _start(row: Row[Any]) -> ShiftStart:
    def moment(at: float | None) -> datetime | None:
        return None if at is None else datetime.fromtimestamp(at, UTC)

    return ShiftStart(
        number=row.id,
        day=date.fromisoformat(row.day),
        user_id=row.user_id,
        person=row.person,
        due=datetime.fromtimestamp(row.due_at, UTC),
        asked_at=datetime.fromtimestamp(row.asked_at, UTC),
        begun_at=moment(row.begun_at),
        begun_by=row.begun_by,
        reminded_at=moment(row.reminded_at),
        escalated_at=moment(row.escalated_at),
    )
