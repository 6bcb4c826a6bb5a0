"""A step's name as people read it: «7 d» is «7 дней», «+ 5 working days» is «+ 5 рабочих дней»."""

from __future__ import annotations

import re

from flask_babel import ngettext

_SPAN = re.compile(
    r"(?<!\w)(?P<count>\d{1,4})\s*(?P<working>(?:working|business|work|рабоч\w+|раб\.?)\s+)?"
    r"(?:(?P<minutes>m|min|mins|minutes?|м|мин|минут[аыу]?)|(?P<hours>h|hours?|ч|час|часа|часов)"
    r"|(?P<days>d|days?|д|дн|день|дня|дней)|(?P<weeks>w|weeks?|нед|недел[яюиь]|недель))\.?(?!\w)",
    re.IGNORECASE,
)


def step_in_words(name: str) -> str:
    """Every span of time in it written out; whatever else a person has called it stays."""
    return _SPAN.sub(_written_out, name)


def _written_out(found: re.Match[str]) -> str:
    count = int(found["count"])
    if found["working"]:
        return _working(count, found)
    if found["minutes"]:
        return str(ngettext("%(num)s минута", "%(num)s минут", count))
    if found["hours"]:
        return str(ngettext("%(num)s час", "%(num)s часов", count))
    if found["weeks"]:
        return str(ngettext("%(num)s неделя", "%(num)s недель", count))
    return str(ngettext("%(num)s день", "%(num)s дней", count))


def _working(count: int, found: re.Match[str]) -> str:
    if found["days"]:
        return str(ngettext("%(num)s рабочий день", "%(num)s рабочих дней", count))
    if found["hours"]:
        return str(ngettext("%(num)s рабочий час", "%(num)s рабочих часов", count))
    return found[0]
