"""What a day is made of for working time: spans of the clock, what breaks leave of them, a country's public days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import holidays

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
    # A neighbour year may move one of its days off into this one.
    book = holidays.country_holidays(country, years=(year - 1, year, year + 1))
    off = frozenset(day for day in book if day.year == year)
    return off, frozenset(day for day in book.weekend_workdays if day.year == year)
