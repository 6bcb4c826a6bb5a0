"""What the rules did: today line by line, the last fourteen days in figures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from amo_bridge.engine.history import Count, Line
from amo_bridge.web.office import NotMet, PageAccount
from amo_bridge.webinars.imports.model import Import
from amo_bridge.webinars.imports.repository import ImportBook

DAYS = 14
MOST_LINES = 30
# Counting fourteen days of a busy account takes a second or so; it needn't be done for everybody who looks. What took
# so long is kept so many times longer.
KEPT_FOR = 30.0


@dataclass(frozen=True)
class Day:
    date: date
    count: Count


_kept: dict[tuple[str, int], tuple[float, list[Day]]] = {}


def days_of(here: PageAccount) -> list[Day]:
    """Oldest first; nothing for an account that was never met."""
    try:
        at = (here.store.url, here.key)
    except NotMet:
        return []
    kept = _kept.get(at)
    if kept is None or kept[0] < time.monotonic():
        began = time.monotonic()
        bounds = midnights(here.clock.now(), here.zone, DAYS)
        counts = here.history.by_stretch(bounds)
        dates = [datetime.fromtimestamp(begin, here.zone).date() for begin in bounds[:-1]]
        ended = time.monotonic()
        kept = _kept[at] = (ended + KEPT_FOR * (ended - began), [Day(*one) for one in zip(dates, counts, strict=True)])
    return kept[1]


def today_of(here: PageAccount, most: int = MOST_LINES) -> list[Line]:
    """What rules did today, or failed to do, newest first. Raises NotMet."""
    return here.history.done_since(_midnight(here), most)


def imports_of_today(here: PageAccount) -> list[Import]:
    """Uploads of webinars that were begun or ended today: no rule makes their deals. Raises NotMet."""
    if here.config.webinar is None:
        return []
    midnight, known = _midnight(here), ImportBook(here.store, here.key, here.clock).all()
    return [one for one in known if max(one.started_at or 0, one.finished_at or 0) >= midnight]


def _midnight(here: PageAccount) -> float:
    return midnights(here.clock.now(), here.zone, 1)[0]


def midnights(now: datetime, zone: ZoneInfo, days: int) -> list[float]:
    """When each of the last ``days`` days began in the zone, today's included, and when today ends."""
    today = now.astimezone(zone).date()
    dates = [today - timedelta(days=back) for back in range(days - 1, -2, -1)]
    return [datetime(one.year, one.month, one.day, tzinfo=zone).timestamp() for one in dates]
