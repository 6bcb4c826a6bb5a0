"""What a due phrase means, once it is understood: small plans, each of which can say when it falls due.

``due.py`` makes them out of words. All moments are aware; results are in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import ClassVar, Protocol

from amo_bridge.clock import in_utc
from amo_bridge.names import same_name
from amo_bridge.worktime import ALL_DAY, WorkCalendar

Fields = Mapping[str, object]
"""A deal's fields by name. One that is counted from must be a ``date`` (amoCRM's type «Дата», as the account's clocks
show it) or an aware ``datetime`` («Дата и время»); None is an empty one."""


class FieldNotFilled(ValueError):
    """The phrase counts from a field that is empty on this deal. ``field`` is its name."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(f"поле «{field}» не заполнено, срок по нему посчитать нельзя")


class FieldNotADate(ValueError):
    """The phrase counts from a field that holds something else. ``field`` is its name."""

    def __init__(self, field: str, value: object) -> None:
        self.field = field
        super().__init__(f"в поле «{field}» не дата, а «{value}», срок по нему посчитать нельзя")


class Plan(Protocol):
    """A way to find the due moment."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields it may ask for."""

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        """The due moment (UTC). Raises FieldNotFilled, FieldNotADate."""


@dataclass(frozen=True)
class Moment:
    """A moment that is known already."""

    moment: datetime
    fields: ClassVar[tuple[str, ...]] = ()

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        return in_utc(self.moment)


@dataclass(frozen=True)
class Days:
    """So many days on: by the calendar at the same time of day, or working ones at the close of the last."""

    count: int
    working: bool = False
    at: time | None = None
    fields: ClassVar[tuple[str, ...]] = ()

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        if self.working:
            return calendar.add_working_days(now, self.count, self.at)
        local = calendar.local(now)
        return calendar.moment(local.date() + timedelta(days=self.count), self.at or local.time())


@dataclass(frozen=True)
class Minutes:
    """So many minutes on, by the clock or of working time."""

    count: int
    working: bool = False
    fields: ClassVar[tuple[str, ...]] = ()

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        step = timedelta(minutes=self.count)
        # By way of UTC: Python adds to the clock's face, which is wrong in the night when the clocks are changed.
        return calendar.add_working(now, step) if self.working else in_utc(now) + step


@dataclass(frozen=True)
class WholeDay:
    """Today (0), tomorrow (1) …: an all-day deadline unless a time is said."""

    days_on: int
    at: time | None = None
    fields: ClassVar[tuple[str, ...]] = ()

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        return calendar.moment(calendar.local(now).date() + timedelta(days=self.days_on), self.at or ALL_DAY)


@dataclass(frozen=True)
class FromField:
    """The value of a date field, shifted or not. A value without a time of day counts as all-day."""

    name: str
    shift: Plan | None = None
    at: time | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.name,)

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        value = next((value for name, value in fields.items() if same_name(name, self.name)), None)
        if value is None:
            raise FieldNotFilled(self.name)
        if not isinstance(value, date):
            raise FieldNotADate(self.name, value)
        moment = value if isinstance(value, datetime) else calendar.moment(value, ALL_DAY)
        if self.shift is not None:
            return self.shift.resolve(moment, calendar, fields)
        return in_utc(moment) if self.at is None else calendar.moment(calendar.local(moment).date(), self.at)


@dataclass(frozen=True)
class UnlessLate:
    """``usual``, but from ``late_from`` o'clock on (local, that minute included) ``when_late`` instead."""

    usual: Plan
    late_from: time
    when_late: Plan

    @property
    def fields(self) -> tuple[str, ...]:
        return self.usual.fields

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        late = calendar.local(now).time() >= self.late_from
        return (self.when_late if late else self.usual).resolve(now, calendar, fields)
