"""The words of the block ``[calendar]``: hours, days, weekdays, countries and zones, with errors in Russian.

Each ``parse_…`` takes what TOML gives and raises ValueError; the annotated types at the end are for option models.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import Annotated, Any
from zoneinfo import available_timezones

import holidays
from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from amo_bridge.workday import DaySpan

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


def parse_country(value: Any) -> str:
    """An ISO code with a known holiday calendar, in capitals, or "". Raises ValueError in Russian."""
    code = str(value).strip().upper()
    if code and not _has_calendar(code):
        raise ValueError(
            f"«{value}»: праздники такой страны неизвестны; нужен код из двух букв, например RU, KZ, UA, BY "
            '(или "" — без праздников)'
        )
    return code


def _has_calendar(code: str) -> bool:
    """Not by the library's list of all that there are: to make it, it loads the calendar of every country."""
    if not re.fullmatch("[A-Z]{2}", code):
        return False
    try:
        # By its own code, not by another name for it, such as UK for GB.
        return str(holidays.country_holidays(code).country) == code
    except NotImplementedError:
        return False


def parse_timezone(value: Any) -> str:
    """An IANA zone's name, or "" (the account's own). Raises ValueError in Russian, with the nearest name."""
    name = str(value).strip()
    if not name:
        return name
    known = {zone.casefold(): zone for zone in available_timezones()}
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
