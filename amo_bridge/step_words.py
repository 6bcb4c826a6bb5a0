"""A step's name as people read it: «7 d» is «7 дней», «+ 5 working days» is «+ 5 рабочих дней»."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Say = Callable[[str, str, int], str]
"""(«%(num)s день», «%(num)s дней», how many) → in words, in the reader's language."""

_SPAN = re.compile(
    r"(?<!\w)(?P<count>\d{1,4})\s*(?P<working>(?:working|business|work|рабоч\w+|раб\.?)\s+)?"
    r"(?:(?P<minutes>m|min|mins|minutes?|м|мин|минут[аыу]?)|(?P<hours>h|hours?|ч|час|часа|часов)"
    r"|(?P<days>d|days?|д|дн|день|дня|дней)|(?P<weeks>w|weeks?|нед|недел[яюиь]|недель))\.?(?!\w)",
    re.IGNORECASE,
)
_FEW: Mapping[str, str] = {
    "%(num)s минут": "%(num)s минуты", "%(num)s часов": "%(num)s часа", "%(num)s дней": "%(num)s дня",
    "%(num)s недель": "%(num)s недели", "%(num)s рабочих дней": "%(num)s рабочих дня",
    "%(num)s рабочих часов": "%(num)s рабочих часа",
}  # fmt: skip
"""What is said of many → what is said of two, three or four, where that differs."""


def in_russian(one: str, many: str, count: int) -> str:
    """1 день, 2 дня, 5 дней, 11 дней, 21 день."""
    teens, last = count % 100 in range(11, 15), count % 10
    if last == 1 and not teens:
        return one % {"num": count}
    few = _FEW[many] if last in (2, 3, 4) and not teens else many
    return few % {"num": count}


def step_in_words(name: str, say: Say = in_russian) -> str:
    """Every span of time in it written out; whatever else a person has called it stays."""
    return _SPAN.sub(lambda found: _written_out(found, say), name)


def _written_out(found: re.Match[str], say: Say) -> str:
    count = int(found["count"])
    if found["working"]:
        return _working(count, found, say)
    if found["minutes"]:
        return say("%(num)s минута", "%(num)s минут", count)
    if found["hours"]:
        return say("%(num)s час", "%(num)s часов", count)
    if found["weeks"]:
        return say("%(num)s неделя", "%(num)s недель", count)
    return say("%(num)s день", "%(num)s дней", count)


def _working(count: int, found: re.Match[str], say: Say) -> str:
    if found["days"]:
        return say("%(num)s рабочий день", "%(num)s рабочих дней", count)
    if found["hours"]:
        return say("%(num)s рабочий час", "%(num)s рабочих часов", count)
    return found[0]
