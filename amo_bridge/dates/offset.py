"""Offsets from a date: «- 5 d», «+ 3 рабочих дня», «+ 7 d + 5 working days», «+ 1 d 10:00».

The phrases are those of due dates; the date itself is somebody else's matter. Of a date without a time of day the day
begins at midnight, so «+ 1 d» is when the date has passed, and working days begin when work does.
"""

from __future__ import annotations

import re
from dataclasses import field
from datetime import date, datetime, time
from typing import ClassVar, Self

from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.dates.due import Days, Due, Fields, FromField
from amo_bridge.dates.phrase import PhraseType
from amo_bridge.lazy.dataclasses import dataclass

_DATE = "дата"
_SHOWN = "«- 5 d», «+ 2 рабочих дня», «+ 1 d 10:00», «+ 7 d + 5 working days»; в тот же день — пусто"
_PARTS = re.compile(r"(?=[-+−–—]\s*\d)")


@dataclass(frozen=True)
class Offset(PhraseType):
    """Equal shifts have equal parts; ``str()`` is the phrase as written. An option's type: a text in TOML."""

    subject: ClassVar[str] = "сдвиг от даты"
    examples: ClassVar[str] = _SHOWN

    phrase: str = field(compare=False)
    parts: tuple[Due, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Understand a phrase; empty is the date itself. ValueError (Russian) with the bad part."""
        phrase = " ".join(text.split())
        told = [part.strip() for part in _PARTS.split(phrase) if part.strip()] or [""]
        try:
            return cls(phrase, tuple(Due.of_field(_DATE, part) for part in told))
        except ValueError as error:
            raise ValueError(f"сдвиг от даты «{phrase}» непонятен. Примеры: {_SHOWN}") from error

    def from_(self, value: date, calendar: WorkCalendar) -> datetime:
        """The moment (UTC). ``value``: a date as the account's clocks show it, or an aware datetime."""
        moment = day_begins(value, calendar)
        for part in self.parts:
            moment = part.resolve(moment, calendar, {_DATE: moment})
            if _counts_whole_working_days(part) and not isinstance(value, datetime):
                moment = calendar.open_of(calendar.local(moment).date())
        return moment

    def __str__(self) -> str:
        return self.phrase or "в тот же день"


@dataclass(frozen=True)
class _AfterShift:
    """A plan of a due date: ``due`` counted from a shifted date, whenever it is asked."""

    value: date
    shift: Offset
    due: Due

    @property
    def fields(self) -> tuple[str, ...]:
        return self.due.fields

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        return self.due.resolve(self.shift.from_(self.value, calendar), calendar, fields)


def due_after(value: date, shift: Offset, due: Due) -> Due:
    """``due`` as if it had been said when that date, shifted, had come."""
    return Due(f"{value:%d.%m.%Y} {shift.phrase}, {due}", _AfterShift(value, shift, due))


def day_begins(value: date, calendar: WorkCalendar) -> datetime:
    """When a date begins by the account's clocks; a moment is what it is."""
    return value if isinstance(value, datetime) else calendar.moment(value, time())


def _counts_whole_working_days(part: Due) -> bool:
    plan = part.plan
    return isinstance(plan, FromField) and isinstance(plan.shift, Days) and plan.shift.working and plan.shift.at is None
