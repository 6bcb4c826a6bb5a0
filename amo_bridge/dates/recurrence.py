"""Recurrences: «пн 10:00», «среда, пятница 16:00», «рабочий день 18:30», «1 число 10:00».

A day off gives way to the nearest working day before it in the same week (or month), and if there is none to the next
one: what is due by Friday is due by Thursday when Friday is a holiday. A week in which nobody works has no slot. A slot
is a day and a time of day by the account's clocks, so a change of the clocks moves nothing.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import ClassVar, Self

from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.dates.phrase import PhraseType
from amo_bridge.lazy.dataclasses import dataclass

_SHOWN = "«пн 10:00», «среда, пятница 16:00», «рабочий день 18:30», «1 число 10:00», «последнее число 16:00»"
_TIMED = re.compile(r"(?P<day>.+?)\s+(?:(?:в|at)\s+)?(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)")
_DAY_OF_MONTH = re.compile(r"(?P<number>[1-9]|[12]\d|3[01])(?:-?(?:го|е))?\s+(?:число|числа)|day\s+(?P<day>\d{1,2})")
_WORKING_DAY = frozenset({"рабочий день", "каждый рабочий день", "working day", "every working day"})
_LAST_DAY = frozenset({"последнее число", "последний день месяца", "last day"})
_WEEKDAYS: Mapping[str, int] = MappingProxyType(
    {
        word: number
        for number, words in enumerate(
            (
                ("пн", "понедельник", "mon", "monday"),
                ("вт", "вторник", "tue", "tuesday"),
                ("ср", "среда", "wed", "wednesday"),
                ("чт", "четверг", "thu", "thursday"),
                ("пт", "пятница", "fri", "friday"),
                ("сб", "суббота", "sat", "saturday"),
                ("вс", "воскресенье", "sun", "sunday"),
            )
        )
        for word in words
    }
)
_LAST = 31
# Days, more than there are from one slot to the next but one, days off included.
_FAR = {"weekly": 100, "monthly": 130, "daily": 70}
# So many slots that were missed are still looked at; max_lateness of the rule says what becomes of them.
_MISSED = 2


@dataclass(frozen=True)
class Slot:
    """One time of many. ``day``: as the phrase names it; ``moment``: when (UTC), perhaps on a working day beside it;
    ``since``: when its week, month or day began."""

    day: date
    moment: datetime
    since: datetime


@dataclass(frozen=True)
class Recurrence(PhraseType):
    """Equal ones have equal days and times; ``str()`` is the phrase as written. An option's type: a text in TOML.

    ``weekdays`` (0 is Monday), or ``day_of_month`` (31: the last one), or neither: every working day.
    """

    subject: ClassVar[str] = "когда повторять,"
    examples: ClassVar[str] = _SHOWN

    phrase: str = field(compare=False)
    at: time
    weekdays: frozenset[int] = frozenset()
    day_of_month: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Understand a phrase. ValueError (Russian)."""
        phrase = " ".join(text.split())
        timed = _TIMED.fullmatch(phrase.casefold().replace("ё", "е"))
        if timed is None:
            raise ValueError(f"«{phrase}» непонятно, когда: нужны день и время. Примеры: {_SHOWN}")
        at, day = time(int(timed["hour"]), int(timed["minute"])), timed["day"]
        if day in _WORKING_DAY:
            return cls(phrase, at)
        if day in _LAST_DAY:
            return cls(phrase, at, day_of_month=_LAST)
        if (monthly := _DAY_OF_MONTH.fullmatch(day)) and 1 <= int(monthly["number"] or monthly["day"]) <= _LAST:
            return cls(phrase, at, day_of_month=int(monthly["number"] or monthly["day"]))
        return cls(phrase, at, weekdays=_weekdays(day, phrase))

    @property
    def kind(self) -> str:
        """weekly, monthly or daily."""
        if self.day_of_month is not None:
            return "monthly"
        return "weekly" if self.weekdays else "daily"

    def around(self, now: datetime, calendar: WorkCalendar) -> tuple[Slot, ...]:
        """The slots that have passed last, and the next one to come; the oldest first."""
        return _around(self, now, calendar)

    def slots(self, first: date, last: date, calendar: WorkCalendar) -> Iterator[Slot]:
        """Those of these days, both ends included."""
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            if self._fits(day, calendar) and (slot := self._slot(day, calendar)):
                yield slot

    def _fits(self, day: date, calendar: WorkCalendar) -> bool:
        if self.day_of_month is not None:
            return day.day == min(self.day_of_month, monthrange(day.year, day.month)[1])
        return day.weekday() in self.weekdays if self.weekdays else calendar.is_working_day(day)

    def _slot(self, day: date, calendar: WorkCalendar) -> Slot | None:
        begins = self._period_begins(day)
        worked = _worked(day, begins, calendar)
        if self._period_begins(worked) != begins:
            return None
        return Slot(day, calendar.moment(worked, self.at), calendar.moment(begins, time()))

    def _period_begins(self, day: date) -> date:
        if self.day_of_month is not None:
            return day.replace(day=1)
        return day - timedelta(days=day.weekday()) if self.weekdays else day


# Thousands of deals are planned at one moment, and their slots are the same.
@lru_cache(maxsize=256)
def _around(every: Recurrence, now: datetime, calendar: WorkCalendar) -> tuple[Slot, ...]:
    far = timedelta(days=_FAR[every.kind])
    today = calendar.local(now).date()
    slots = list(every.slots(today - far, today + far, calendar))
    passed = [slot for slot in slots if slot.moment <= now]
    return (*passed[-_MISSED:], *slots[len(passed) : len(passed) + 1])


def _weekdays(words: str, phrase: str) -> frozenset[int]:
    named = [word for word in re.split(r"[,\s]+", words) if word not in ("", "и", "and", "каждый", "каждую", "every")]
    unknown = [word for word in named if word not in _WEEKDAYS]
    if unknown or not named:
        raise ValueError(f"«{phrase}»: непонятно «{unknown[0] if unknown else words}». Примеры: {_SHOWN}")
    return frozenset(_WEEKDAYS[word] for word in named)


def _worked(day: date, begins: date, calendar: WorkCalendar) -> date:
    if calendar.is_working_day(day):
        return day
    before = calendar.previous_working_day(day)
    return before if before >= begins else calendar.next_working_day(day)
