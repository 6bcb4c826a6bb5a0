"""Kept days of KPI: a day that is over is counted once, and counted anew only while news may come.

Touches are kept for 400 days, these figures for good. A day is counted anew as long as news of it may still come
(``SETTLES_WITHIN``), when a touch of it is told later, and when the way of counting changes; that a figure became
another one is kept too. Sales and lost deals are never kept: the deals themselves tell them. Today is counted whenever
it is asked for.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, delete, false, func, insert, select, update

from amo_bridge.clock import Clock, SystemClock
from amo_bridge.crm.account import Account
from amo_bridge.engine.retention import TOUCHES_KEPT
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.engine.sheet_writes import SheetWrites
from amo_bridge.engine.shift_starts import ShiftStarts
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.facts import mark_stale
from amo_bridge.reports.kpi import Figures, PerDay, Person, add_losses, add_sales, of_touches
from amo_bridge.reports.pipedrive import figures_there, together
from amo_bridge.storage.accounts import KPI_SEEN, Cursors
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import kpi_days, kpi_figures, touches
from amo_bridge.text.names import same_name

# amoCRM's list of events lags, an exchange tells of a call when its record is ready, a bridge may have been down.
SETTLES_WITHIN = timedelta(days=3)
COUNTED_AGAIN_AFTER = timedelta(hours=6)
# The worker does nothing else meanwhile; a day of twenty people takes a tenth of a second.
DAYS_IN_A_ROW = 5
# Whoever connects a table gets two months.
IN_SHEET = timedelta(days=62)
_KEY = re.compile(r"(\d{4}-\d\d-\d\d) (\d{1,18})(?: (.+))?", re.DOTALL)
NUMBERS = ("contacts", "worked", "talks", "unanswered", "letters", "tasks")


@dataclass(frozen=True)
class Way:
    """How is counted. ``own_user_id``: in whose name the bridge works: what he does is nobody's work. ``reasons``:
    number of a loss reason → its present name: a deal that nobody has touched since knows the old one."""

    zone: ZoneInfo
    own_user_id: int | None
    talk_seconds: int
    reasons: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, zone: ZoneInfo, talk_seconds: int, account: Account | None) -> Way:
        """How an account's KPI is counted; None for one that the bridge has not read yet."""
        if account is None:
            return cls(zone, None, talk_seconds)
        return cls(zone, account.current_user_id, talk_seconds, {one.id: one.name for one in account.loss_reasons})

    def __str__(self) -> str:
        return f"{self.zone.key} {self.own_user_id} {self.talk_seconds}"

    def midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def today(self, now: datetime) -> date:
        return now.astimezone(self.zone).date()


class KpiDays:
    """One account's. All methods raise StoreUnavailable."""

    def __init__(self, store: AccountStore, way: Way) -> None:
        self._store = store
        self._way = way
        self._cursors = Cursors(store)

    def figures(self, days: Sequence[date], now: datetime) -> PerDay:
        """Day → person's id → figures, sales and lost deals too. ``days``: in a row, oldest first, none to come."""
        kept = self._kept(days, now)
        told: dict[date, dict[Person, Figures]] = {}
        for day in days:
            told[day] = kept[day] if day in kept else self._count(day)
        midnights, end = {day: self._way.midnight(day) for day in days}, self._end(days[-1])
        add_sales(self._store, told, midnights, end)
        add_losses(self._store, told, midnights, end, self._way.reasons)
        self._add_starts(told)
        return told

    def _add_starts(self, told: Mapping[date, dict[Person, Figures]]) -> None:
        """Whoever confirmed that he is at work has begun then, if not before."""
        for one in ShiftStarts(self._store, SystemClock()).between(min(told), max(told)):
            if one.begun_at is not None and one.begun_by:
                figures = told[one.day].setdefault(one.user_id, Figures())
                figures.first_at = min(figures.first_at or one.begun_at, one.begun_at)

    def known_from(self) -> date | None:
        """The first day of which anything is known; None before there was one."""
        with self._store.read() as connection:
            counted = connection.execute(select(func.min(kpi_days.c.day)).where(self._store.owns(kpi_days))).scalar()
            first = connection.execute(select(func.min(touches.c.at)).where(self._store.owns(touches))).scalar()
        told = [date.fromisoformat(counted)] if counted else []
        told += [self._way.today(datetime.fromtimestamp(first, UTC))] if first is not None else []
        return min(told, default=None)

    def changed(self, days: Sequence[date]) -> dict[date, datetime]:
        """Day → when its figures became other ones after they had been counted, last."""
        asked = (self._store.owns(kpi_days), kpi_days.c.day.between(days[0].isoformat(), days[-1].isoformat()))
        query = select(kpi_days).where(*asked, kpi_days.c.changed_at.is_not(None))
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return {date.fromisoformat(row.day): datetime.fromtimestamp(row.changed_at, UTC) for row in rows}

    def keep_up(self, now: datetime) -> bool:
        """Count the days that are to be counted, the newest first, a few of them; is there more to do?"""
        self._find_late_touches()
        wanted = self._to_count(now)
        for day in wanted[:DAYS_IN_A_ROW]:
            self.count(day, now)
        return len(wanted) > DAYS_IN_A_ROW

    def count(self, day: date, now: datetime) -> None:
        """Count a day that is over, and keep it."""
        found = self._count(day)
        own = (kpi_figures.c.account == self._store.account_id, kpi_figures.c.day == day.isoformat())
        with self._store.write() as connection:
            row = connection.execute(
                select(kpi_days).where(self._store.owns(kpi_days), kpi_days.c.day == day.isoformat())
            ).one_or_none()
            before = {one.user_id: _figures(one) for one in connection.execute(select(kpi_figures).where(*own))}
            is_changed = row is None or before != found
            is_other = row is not None and row.way == str(self._way) and is_changed
            connection.execute(delete(kpi_figures).where(*own))
            if found:
                connection.execute(insert(kpi_figures), [self._row(day, person, one) for person, one in found.items()])
            kept = {
                "ends_at": self._end(day).timestamp(),
                "way": str(self._way),
                "counted_at": now.timestamp(),
                "is_stale": False,
                "changed_at": now.timestamp() if is_other else row.changed_at if row is not None else None,
            }
            place = {"account": self._store.account_id, "day": day.isoformat()}
            if not insert_new(connection, kpi_days, [{**place, **kept, "edition": 1}]):
                mine = (self._store.owns(kpi_days), kpi_days.c.day == day.isoformat())
                next_one = kpi_days.c.edition + (1 if is_changed else 0)
                connection.execute(update(kpi_days).where(*mine).values(**kept, edition=next_one))

    def is_final(self, day: date, now: datetime) -> bool:
        """It was counted, and what it was counted from is forgotten: events alone would tell less."""
        own = (self._store.owns(kpi_days), kpi_days.c.day == day.isoformat())
        with self._store.read() as connection:
            row = connection.execute(select(kpi_days).where(*own)).one_or_none()
        return row is not None and self._is_forgotten(row, now)

    def not_in_sheet(self, writes: SheetWrites, since: datetime, most: int) -> dict[date, int]:
        """Days whose figures are not in a table that people read as they are now, oldest first → their editions."""
        wanted = (
            self._store.owns(kpi_days),
            ~writes.has(kpi_days.c.day, kpi_days.c.edition),
            kpi_days.c.ends_at >= since.timestamp(),
        )
        columns = (kpi_days.c.day, kpi_days.c.edition)
        query = select(*columns).where(*wanted, kpi_days.c.is_stale == false()).order_by(kpi_days.c.day)
        with self._store.read() as connection:
            rows = connection.execute(query.limit(most)).all()
        return {date.fromisoformat(row.day): row.edition for row in rows}

    def _kept(self, days: Sequence[date], now: datetime) -> dict[date, dict[Person, Figures]]:
        first, last = days[0].isoformat(), days[-1].isoformat()
        with self._store.read() as connection:
            marks = connection.execute(
                select(kpi_days).where(self._store.owns(kpi_days), kpi_days.c.day.between(first, last))
            ).all()
            good = {row.day for row in marks if self._is_good(row) or self._is_forgotten(row, now)}
            if not good:
                return {}
            rows = connection.execute(
                select(kpi_figures).where(self._store.owns(kpi_figures), kpi_figures.c.day.between(first, last))
            ).all()
        told: dict[date, dict[Person, Figures]] = {date.fromisoformat(day): {} for day in good}
        for row in rows:
            if row.day in good:
                told[date.fromisoformat(row.day)][row.user_id] = _figures(row)
        return told

    def _is_good(self, row: Row[Any]) -> bool:
        return not row.is_stale and row.way == str(self._way)

    def _is_forgotten(self, row: Row[Any], now: datetime) -> bool:
        """Its touches are gone, or are going: it can't be counted any more."""
        return bool(row.ends_at < self._counted_from(now).timestamp())

    def _counted_from(self, now: datetime) -> datetime:
        return now - TOUCHES_KEPT + timedelta(days=2)

    def _find_late_touches(self) -> None:
        """A touch that was told of after its day was counted may change that day, and who was new on later ones."""
        seen = int(self._cursors.read(KPI_SEEN) or 0)
        with self._store.read() as connection:
            newest = connection.execute(select(func.max(touches.c.id))).scalar() or 0
            # By number: an index that begins with the account would be read from its beginning.
            mine = touches.c.account + 0 == self._store.account_id
            new = (mine, touches.c.id > seen, touches.c.id <= newest)
            oldest_at = connection.execute(select(func.min(touches.c.at)).where(*new)).scalar()
        # SQLite gives the numbers of forgotten touches again when they were the highest: then it goes back.
        if newest == seen:
            return
        with self._store.write() as connection:
            if oldest_at is not None:
                mark_stale(connection, self._store.account_id, oldest_at)
            self._cursors.write(connection, KPI_SEEN, float(newest))

    def _to_count(self, now: datetime) -> list[date]:
        with self._store.read() as connection:
            marks = connection.execute(select(kpi_days).where(self._store.owns(kpi_days))).all()
            first = connection.execute(select(func.min(touches.c.at)).where(self._store.owns(touches))).scalar()
        if first is None:
            return []
        done = {row.day for row in marks if self._is_good(row) and self._is_settled(row, now)}
        begin = max(datetime.fromtimestamp(first, UTC), self._counted_from(now))
        yesterday = self._way.today(now) - timedelta(days=1)
        days = (yesterday - self._way.today(begin)).days + 1
        every = (yesterday - timedelta(days=number) for number in range(days))
        return [day for day in every if day.isoformat() not in done]

    def _is_settled(self, row: Row[Any], now: datetime) -> bool:
        """Nothing more is to be expected of it, or it was looked at lately."""
        settled = row.counted_at >= row.ends_at + SETTLES_WITHIN.total_seconds()
        return bool(settled or row.counted_at > now.timestamp() - COUNTED_AGAIN_AFTER.total_seconds())

    def _count(self, day: date) -> dict[Person, Figures]:
        way, begin = self._way, self._way.midnight(day)
        found = of_touches(
            self._store, {day: begin}, self._end(day), own_user_id=way.own_user_id, talk_seconds=way.talk_seconds
        )
        return dict(found[day])

    def _end(self, day: date) -> datetime:
        return self._way.midnight(day + timedelta(days=1))

    def _row(self, day: date, person: Person, figures: Figures) -> dict[str, Any]:
        first = figures.first_at.timestamp() if figures.first_at else None
        numbers = {name: getattr(figures, name) for name in NUMBERS}
        place = {"account": self._store.account_id, "day": day.isoformat(), "user_id": person}
        return {**place, **numbers, "first_at": first}


def _figures(row: Row[Any]) -> Figures:
    first = datetime.fromtimestamp(row.first_at, UTC) if row.first_at is not None else None
    return Figures(**{name: getattr(row, name) for name in NUMBERS}, first_at=first)


class KpiJob:
    """``run()`` now and then. ``account_clock`` is amoCRM's."""

    def __init__(self, store: AccountStore, rules: CurrentRules, account_clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._account_clock = account_clock

    def run(self) -> None:
        """Raises StoreUnavailable."""
        KpiDays(self._store, way_of(self._rules.get())).keep_up(self._account_clock.now())


def way_of(rules: RuleEngine) -> Way:
    """How the config and the account say that is counted."""
    return Way.of(rules.calendar.timezone, rules.config.kpi.talk_seconds, rules.account)


class KpiRows:
    """The kept days as rows of a sheet (channels/sheets.py, ``SheetSource``): one for a person and day. A day is
    written again whenever something of it became another one, a sale that was cancelled too. ``name``: of the job."""

    what = "показатели KPI"
    head: Sequence[str] = (
        "Ключ (не менять)", "День", "Человек", "Новые клиенты", "Обработано", "Разговоры", "Не дозвонились", "Письма",
        "Задачи", "Продажи", "Сумма продаж", "Начал",
    )  # fmt: skip

    def __init__(self, store: AccountStore, name: str, sheet: str) -> None:
        self.name = name
        self.sheet = sheet
        self._store = store
        self._writes = SheetWrites(store, name)
        self._days: Mapping[date, int] = {}
        self._names: Callable[[int], str | None] = lambda number: None
        self._engine: RuleEngine | None = None

    def due(self, engine: RuleEngine, now: datetime) -> Mapping[str, Sequence[str | int]]:
        kept = KpiDays(self._store, way_of(engine))
        self._days = kept.not_in_sheet(self._writes, now - IN_SHEET, DAYS_IN_A_ROW)
        self._engine = engine
        self._names = _names_in(engine)
        rows: dict[str, Sequence[str | int]] = {}
        for day in self._days:
            for number, figures in sorted(self._figures(kept, engine, day, now).items()):
                if number and (name := self._names(number)) is not None:
                    rows |= self._rows(day, number, name, figures, engine)
        return rows

    def _rows(
        self, day: date, number: int, name: str, figures: Figures, engine: RuleEngine
    ) -> dict[str, Sequence[str | int]]:
        """Of one person: key → cells of what he has."""
        return {f"{day.isoformat()} {number}": _cells(day, name, figures, engine)}

    def _figures(self, kept: KpiDays, engine: RuleEngine, day: date, now: datetime) -> Mapping[Person, Figures]:
        """As the page shows them."""
        way, found = way_of(engine), kept.figures([day], now)
        span = {day: way.midnight(day)}, way.midnight(day + timedelta(days=1))
        there = figures_there(self._store, engine.config.channels.pipedrive, engine.account, *span)
        return (together(found, there.days) if there else found)[day]

    def emptied(self) -> Callable[[str], Sequence[str | int] | None] | None:
        return self._emptied if self._days else None

    def _emptied(self, key: str) -> Sequence[str | int] | None:
        """Zeros for a row of a day that is written, of whoever has nothing there (any longer)."""
        found = _KEY.fullmatch(key)
        day = next((one for one in self._days if found and one.isoformat() == found[1]), None)
        if found is None or day is None or self._engine is None:
            return None
        name = self._names(int(found[2]))
        return self._nothing(day, name, found[3] or "", self._engine) if name is not None else None

    def _nothing(self, day: date, name: str, what: str, engine: RuleEngine) -> Sequence[str | int] | None:
        """``what``: behind day and person in the key."""
        return None if what else _cells(day, name, Figures(), engine)

    def keep_written(self) -> None:
        self._writes.keep({day.isoformat(): edition for day, edition in self._days.items()})


class LossRows(KpiRows):
    """Lost deals of the kept days: a row for a person, day and reason."""

    what = "потерянные сделки"
    head = ("Ключ (не менять)", "День", "Человек", "Причина", "Сделок")

    def due(self, engine: RuleEngine, now: datetime) -> Mapping[str, Sequence[str | int]]:
        # A reason gets another name without a word about its deals: then all days are written once more.
        names = "\n".join(f"{number} {name}" for number, name in sorted(way_of(engine).reasons.items()))
        self._writes = SheetWrites(self._store, f"{self.name} {zlib.crc32(names.encode()):08x}")
        return super().due(engine, now)

    def _rows(
        self, day: date, number: int, name: str, figures: Figures, engine: RuleEngine
    ) -> dict[str, Sequence[str | int]]:
        return {
            f"{day.isoformat()} {number} {reason}": (f"{day:%d.%m.%Y}", name, reason, count)
            for reason, count in sorted(figures.lost_by.items())
            if count
        }

    def _nothing(self, day: date, name: str, what: str, engine: RuleEngine) -> Sequence[str | int] | None:
        return (f"{day:%d.%m.%Y}", name, what, 0) if what else None


def _names_in(engine: RuleEngine) -> Callable[[int], str | None]:
    """Number of a user → his name; None for those whom ``[kpi]`` does not count."""
    people = engine.config.kpi.people
    names = {one.id: one.name for one in engine.account.users}

    def name_of(number: int) -> str | None:
        name = names.get(number, str(number))
        return name if not people or any(same_name(name, other) for other in people) else None

    return name_of


def _cells(day: date, name: str, one: Figures, engine: RuleEngine) -> Sequence[str | int]:
    began = f"{engine.calendar.local(one.first_at):%H:%M}" if one.first_at else ""
    return (
        f"{day:%d.%m.%Y}", name, one.contacts, one.worked, one.talks, one.unanswered, one.letters, one.tasks, one.sales,
        one.amount, began,
    )  # fmt: skip
