"""Working calendar: spans of a working day, breaks, public holidays, the options ``[calendar]``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from amo_bridge.clock import in_utc
from amo_bridge.lazy.dataclasses import dataclass

FULL_DAY = 24 * 60
"""Minutes in a day, as its clock counts them."""


@dataclass(frozen=True, order=True)
class DaySpan:
    """A part of a day, in minutes after midnight: ``DaySpan(600, 1140)`` is 10:00-19:00, and ``str()`` says so.

    The end may be 24:00. A span past midnight is not possible: ValueError.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= FULL_DAY:
            raise ValueError(f"a span of a day must end after it starts: {self}")

    def __str__(self) -> str:
        return "-".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (self.start, self.end))


def without_breaks(span: DaySpan, breaks: Sequence[DaySpan]) -> list[DaySpan]:
    """What is left of a span when breaks (sorted by their start, they may overlap) are cut out of it."""
    rest, start = [], span.start
    for pause in breaks:
        if start < min(pause.start, span.end):
            rest.append(DaySpan(start, min(pause.start, span.end)))
        start = max(start, pause.end)
    return [*rest, DaySpan(start, span.end)] if start < span.end else rest


@lru_cache(maxsize=256)
def public_days(country: str, year: int) -> tuple[frozenset[date], frozenset[date]]:
    """A country's public days off of a year, and its weekend days that are worked instead of a moved one.

    "" has neither. An unknown country is a NotImplementedError. The library's own object fills itself on being asked,
    which is not safe between threads, so a finished year is kept instead.
    """
    if not country:
        return frozenset(), frozenset()
    # Only here: most commands ask for no day.
    import holidays

    # A neighbour year may move one of its days off into this one.
    book = holidays.country_holidays(country, years=(year - 1, year, year + 1))
    off = frozenset(day for day in book if day.year == year)
    return off, frozenset(day for day in book.weekend_workdays if day.year == year)


# The words of the block ``[calendar]``: hours, days, weekdays, countries and zones, with errors in Russian.
#
# Each ``parse_…`` takes what TOML gives and raises ValueError; the annotated types at the end are for option models.

WEEKDAYS = MappingProxyType(
    {name: number for number, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}
)

_SPAN = re.compile(r"(\d{1,2}):([0-5]\d)\s*[-–—]\s*(\d{1,2}):([0-5]\d)")


def parse_span(value: Any) -> DaySpan:
    """«10:00-19:00» → DaySpan; the end may be 24:00. Raises ValueError in Russian."""
    if isinstance(value, DaySpan):
        return value
    parts = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if parts is None:
        raise ValueError(f'«{value}» не похоже на часы: пишите "10:00-19:00"; выходной день из hours просто уберите')
    from_hour, from_minute, to_hour, to_minute = map(int, parts.groups())
    start, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if max(start, end) > 24 * 60:
        raise ValueError(f"«{value}»: такого времени в сутках нет, последнее — 24:00")
    if start >= end:
        raise ValueError(f"«{value}»: конец должен быть позже начала, в тех же сутках")
    return DaySpan(start, end)


def parse_day(value: Any) -> date:
    """«2026-12-31», or TOML's own date, → date. Raises ValueError in Russian."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if not isinstance(value, str) or len(value) != len("2026-12-31"):
            raise ValueError(value)
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f'«{value}» — не дата: пишите год-месяц-день, например "2026-12-31"') from None


def parse_weekday(value: Any) -> str:
    """A weekday's name as the config spells it. Raises ValueError in Russian."""
    name = str(value).strip().lower()
    if name not in WEEKDAYS:
        raise ValueError(f"«{value}» — не день недели: годятся {', '.join(WEEKDAYS)}")
    return name


HOME = "RU"
"""The country of a config that names none."""


def parse_country(value: Any) -> str:
    """An ISO code with a known holiday calendar, in capitals, or "". Raises ValueError in Russian."""
    code = str(value).strip().upper()
    if code and code != HOME and not _has_calendar(code):
        raise ValueError(
            f"«{value}»: праздники такой страны неизвестны; нужен код из двух букв, например RU, KZ, UA, BY "
            '(или "" — без праздников)'
        )
    return code


def _has_calendar(code: str) -> bool:
    """By the library's table of names: asking for one country loads the calendars of all, a tenth of what a command
    takes."""
    from holidays.registry import COUNTRIES

    # By its own code, not by another name for it, such as UK for GB.
    return any(code == names[1] for names in COUNTRIES.values())


@cache
def _timezones() -> dict[str, str]:
    """In small letters → as IANA writes it. Reading the system's list takes milliseconds."""
    return {zone.casefold(): zone for zone in available_timezones()}


def parse_timezone(value: Any) -> str:
    """An IANA zone's name, or "" (the account's own). Raises ValueError in Russian, with the nearest name."""
    name = str(value).strip()
    if not name:
        return name
    known = _timezones()
    if name.casefold() not in known:
        near = get_close_matches(name.casefold(), known, n=1)
        advice = f"может быть, «{known[near[0]]}»?" if near else "пример: «Europe/Moscow»"
        raise ValueError(f"часового пояса «{value}» нет; {advice}")
    return known[name.casefold()]


Span = Annotated[DaySpan, BeforeValidator(parse_span), PlainSerializer(str)]
Day = Annotated[date, BeforeValidator(parse_day)]
Weekday = Annotated[str, AfterValidator(parse_weekday)]
Country = Annotated[str, BeforeValidator(parse_country)]
Timezone = Annotated[str, BeforeValidator(parse_timezone)]


# Working time: when the agency works, and how long it works between two moments.
#
# Weekly hours, breaks, a country's public holidays with its moved days off and working Saturdays, and the agency's own
# exceptions, all in one time zone. Moments go in aware (any zone) and come out aware in UTC; the arithmetic is done in
# UTC, so an hour is an hour even in the night when the clocks are changed. Days are plain dates in the calendar's zone.

ONE_DAY = timedelta(days=1)
ALL_DAY = time(23, 59)
"""The time of day amoCRM gives to a deadline that is a date only: 23:59:00 in the account's zone."""

_FRIDAY = 4
_OFFICE_HOURS = DaySpan(10 * 60, 19 * 60)
_LONGEST_REST = 400
"""Days without a working one after which the calendar is taken for a mistake."""

Piece = tuple[datetime, datetime]


class WorkCalendar:
    """When the agency works.

    ``hours``: weekday (0 is Monday) → hours; a weekday that is absent is a day off. ``breaks``: cut out of every day.
    ``country``: ISO code whose public holidays are kept ("" for none). ``special_hours``: days with hours of their own;
    they are working days whatever else is said of them. Then ``extra_days_off``, then ``extra_working_days``, then the
    country decide. A working day whose weekday has no hours (a working Saturday) takes Friday's.

    Raises ValueError if no weekday has hours, or breaks leave nothing of a day.
    """

    def __init__(
        self,
        hours: Mapping[int, DaySpan],
        *,
        timezone: ZoneInfo,
        breaks: Sequence[DaySpan] = (),
        country: str = "",
        extra_days_off: Collection[date] = (),
        extra_working_days: Collection[date] = (),
        special_hours: Mapping[date, DaySpan] | None = None,
    ) -> None:
        if not hours:
            raise ValueError("a calendar needs hours for one weekday at least")
        self.timezone = timezone
        self._hours = dict(hours)
        self._hours_of_extra_days = self._hours.get(_FRIDAY, self._hours[max(self._hours)])
        self._breaks = sorted(breaks)
        self._country = country
        self._days_off = frozenset(extra_days_off)
        self._working_days = frozenset(extra_working_days)
        self._special_hours = dict(special_hours or {})
        for span in {*self._hours.values(), *self._special_hours.values()}:
            if not without_breaks(span, self._breaks):
                raise ValueError(f"breaks leave nothing of {span}")

    def local(self, moment: datetime) -> datetime:
        """The moment as the account's clocks show it. A naive moment is a ValueError."""
        return in_utc(moment).astimezone(self.timezone)

    def moment(self, day: date, at: time) -> datetime:
        """The moment (UTC) when the account's clocks show ``at`` on ``day``; the earlier one if they show it twice."""
        return datetime.combine(day, at, self.timezone).astimezone(UTC)

    def is_working_day(self, day: date) -> bool:
        """Does the agency work on that day at all?"""
        return bool(self._pieces(day))

    def is_working(self, moment: datetime) -> bool:
        """Is it working time? The minute of opening is, the minute of closing and breaks are not."""
        return any(start <= moment < end for start, end in self._pieces(self.local(moment).date()))

    def open_of(self, day: date) -> datetime:
        """When work begins on that day (UTC). Not a working day: ValueError."""
        return self._worked(day)[0][0]

    def close_of(self, day: date) -> datetime:
        """When work ends on that day (UTC). Not a working day: ValueError."""
        return self._worked(day)[-1][1]

    def next_working_day(self, day: date) -> date:
        """The first working day after ``day``, never ``day`` itself."""
        return self._neighbour(day, ONE_DAY)

    def previous_working_day(self, day: date) -> date:
        """The last working day before ``day``, never ``day`` itself."""
        return self._neighbour(day, -ONE_DAY)

    def add_working_days(self, moment: datetime, n: int, at: time | None = None) -> datetime:
        """The ``n``-th working day after the moment's own day (before it, if negative): at ``at``, else at its close.

        The moment's day itself is never counted, so one working day from Friday, at any hour, is Monday. ``n = 0`` is
        the working day that is going on: if the moment's day is a day off or already over, the next working day.
        """
        day = self.local(moment).date()
        if n == 0 and not (self.is_working_day(day) and moment < self.close_of(day)):
            n = 1
        for _ in range(abs(n)):
            day = self.next_working_day(day) if n > 0 else self.previous_working_day(day)
        return self.close_of(day) if at is None else self.moment(day, at)

    def add_working(self, moment: datetime, amount: timedelta) -> datetime:
        """The moment (UTC) when ``amount`` of working time has passed since ``moment`` (before it, if negative).

        The result may be the very minute of closing: an hour from 18:00 is 19:00, not tomorrow's opening. Adding
        nothing gives ``moment`` itself in working time, else the next opening.
        """
        if amount < timedelta():
            return self._subtract_working(moment, -amount)
        for start, end in self._pieces_after(moment):
            if amount <= end - start:
                return start + amount
            amount -= end - start
        raise AssertionError("working pieces never run out")

    def working_time_between(self, a: datetime, b: datetime) -> timedelta:
        """How much working time lies between two moments; negative if ``b`` is the earlier one."""
        a, b = in_utc(a), in_utc(b)
        if b < a:
            return -self.working_time_between(b, a)
        total = timedelta()
        day, last = self.local(a).date(), self.local(b).date()
        while day <= last:
            total += sum((max(min(e, b) - max(s, a), timedelta()) for s, e in self._pieces(day)), timedelta())
            day += ONE_DAY
        return total

    def _subtract_working(self, moment: datetime, amount: timedelta) -> datetime:
        day = self.local(moment).date()
        while True:
            for start, end in reversed(self._pieces(day)):
                end = min(end, in_utc(moment))
                if timedelta() < end - start >= amount:
                    return end - amount
                amount -= max(end - start, timedelta())
            day = self.previous_working_day(day)

    def _pieces_after(self, moment: datetime) -> Iterator[Piece]:
        day = self.local(moment).date()
        while True:
            for start, end in self._pieces(day):
                if end > moment:
                    yield max(start, in_utc(moment)), end
            day = self.next_working_day(day)

    def _neighbour(self, day: date, step: timedelta) -> date:
        for _ in range(_LONGEST_REST):
            day += step
            if self.is_working_day(day):
                return day
        raise ValueError(f"no working day within {_LONGEST_REST} days up to {day}")

    def _worked(self, day: date) -> list[Piece]:
        pieces = self._pieces(day)
        if not pieces:
            raise ValueError(f"{day} is not a working day")
        return pieces

    def _pieces(self, day: date) -> list[Piece]:
        span = self._span_of(day)
        pieces: list[Piece] = []
        for part in without_breaks(span, self._breaks) if span else ():
            start, end = self._minute(day, part.start), self._minute(day, part.end)
            # A border inside the hour that the spring skips lands after it, perhaps beyond the next border.
            start = max(start, pieces[-1][1]) if pieces else start
            if start < end:
                pieces.append((start, end))
        return pieces

    def _minute(self, day: date, minutes: int) -> datetime:
        if minutes == FULL_DAY:
            return self.moment(day + ONE_DAY, time())
        return self.moment(day, time(minutes // 60, minutes % 60))

    def _span_of(self, day: date) -> DaySpan | None:
        if day in self._special_hours:
            return self._special_hours[day]
        if day in self._days_off:
            return None
        usual = self._hours.get(day.weekday())
        if day in self._working_days:
            return usual or self._hours_of_extra_days
        days_off, working_weekends = public_days(self._country, day.year)
        if day in working_weekends:
            return usual or self._hours_of_extra_days
        return None if day in days_off else usual


class CalendarOptions(BaseModel):
    """``[calendar]``: weekly hours, breaks, country, exceptions and zone, as ``WorkCalendar`` describes them.

    The defaults are an office in Russia: Monday to Friday, 10:00-19:00, no break, the account's own time zone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    country: Country = HOME
    hours: dict[Weekday, Span] = Field(default_factory=lambda: dict.fromkeys(list(WEEKDAYS)[:5], _OFFICE_HOURS))
    breaks: list[Span] = []
    days_off: list[Day] = []
    working_days: list[Day] = []
    special_hours: dict[Day, Span] = {}
    timezone: Timezone = ""

    @model_validator(mode="after")
    def _fits_together(self) -> CalendarOptions:
        if not self.hours:
            raise ValueError("hours: нужен хотя бы один рабочий день недели")
        both = sorted(set(self.days_off) & {*self.working_days, *self.special_hours})
        if both:
            days = ", ".join(map(str, both))
            raise ValueError(f"{days}: и выходной (days_off), и рабочий день (working_days, special_hours) сразу")
        breaks = sorted(self.breaks)
        for where, span in [*self.hours.items(), *self.special_hours.items()]:
            if not without_breaks(span, breaks):
                raise ValueError(f"{where} = «{span}»: перерывы (breaks) не оставляют рабочего времени")
        return self

    def calendar(self, account_timezone: str) -> WorkCalendar:
        """The calendar, in the block's zone or else the account's (amoCRM docs, account, ``datetime_settings``).

        An unknown or empty zone where one is needed is a ValueError in Russian.
        """
        zone = self.timezone or parse_timezone(account_timezone)
        if not zone:
            raise ValueError("часовой пояс аккаунта неизвестен: укажите timezone в [calendar]")
        return WorkCalendar(
            {WEEKDAYS[name]: span for name, span in self.hours.items()},
            timezone=ZoneInfo(zone),
            breaks=self.breaks,
            country=self.country,
            extra_days_off=self.days_off,
            extra_working_days=self.working_days,
            special_hours=self.special_hours,
        )
