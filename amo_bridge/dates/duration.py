"""A length of time in the config's words: «24 h», «3 d», «90 min», «24 часа», «3 дня»."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

PHRASE = re.compile(r"^\s*(\d+)\s*([a-zа-яё]+)\.?\s*$", re.IGNORECASE)
UNITS = (
    (re.compile(r"^(s|sec\w*|с|сек\w*)$", re.IGNORECASE), timedelta(seconds=1)),
    (re.compile(r"^(m|min\w*|мин\w*)$", re.IGNORECASE), timedelta(minutes=1)),
    (re.compile(r"^(h|hour\w*|ч|час\w*)$", re.IGNORECASE), timedelta(hours=1)),
    (re.compile(r"^(d|day\w*|д|день|дня|дней|сут\w*)$", re.IGNORECASE), timedelta(days=1)),
    (re.compile(r"^(w|week\w*|нед\w*)$", re.IGNORECASE), timedelta(weeks=1)),
)
LONGEST = timedelta(days=3650)


def parse(text: str) -> timedelta:
    """Raises ValueError, in Russian, for anything else."""
    if found := PHRASE.match(text):
        for unit, length in UNITS:
            if unit.match(found[2]) and int(found[1]) * length <= LONGEST:
                return int(found[1]) * length
    raise ValueError(f"промежуток «{text}» непонятен; примеры: «24 h», «3 d», «90 min», «24 часа», «3 дня»")


def _parsed(value: Any) -> Any:
    return parse(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_parsed)]
"""As an option's type: a text in TOML, a timedelta in code."""


def describe(length: timedelta) -> str:
    """«24 ч», «3 д», «90 мин»: the largest unit that says it exactly."""
    seconds = int(length.total_seconds())
    for size, word in ((86400, "д"), (3600, "ч"), (60, "мин")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {word}"
    return f"{seconds} с"


# A step's name as people read it: «7 d» is «7 дней», «+ 5 working days» is «+ 5 рабочих дней».

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


def describe_step(name: str, say: Say = in_russian) -> str:
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
