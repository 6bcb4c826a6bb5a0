"""How long somebody was there: the time that the intervals cover, counted once where they overlap."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta

from amo_bridge.webinars.exports import Interval

_DAY = timedelta(days=1)


def covered(intervals: Iterable[Interval]) -> float:
    """Minutes covered by at least one interval: two tabs of one browser don't make an hour of half an hour."""
    total = timedelta()
    reached: datetime | None = None
    for start, end in sorted(intervals):
        begin = start if reached is None else max(start, reached)
        if end > begin:
            total += end - begin
            reached = end
    return total.total_seconds() / 60


def dated(start: time, end: time, not_before: datetime) -> Interval:
    """An interval told by clock times alone: the first such time at or after ``not_before``; what ends "earlier" than
    it began ends on the next day."""
    begin = datetime.combine(not_before.date(), start)
    if begin < not_before:
        begin += _DAY
    finish = datetime.combine(begin.date(), end)
    return begin, finish if finish >= begin else finish + _DAY
