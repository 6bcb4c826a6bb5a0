"""The grammar of due phrases: words of the config → a plan. ``due.py`` is the door; docs/due-dates.md the manual.

    phrase  = [plain ","] "until" TIME day "if after" TIME | plain
    plain   = "field:" NAME [("+" | "-") span] [TIME]  |  day [TIME]  |  span [TIME]
    day     = "today" | "tomorrow" | "end of day" | "next working day"
    span    = NUMBER ["working"] ("minutes" | "hours" | "days" | "weeks")

Every word has Russian equivalents, and the languages may be mixed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from types import MappingProxyType

from amo_bridge.due_plan import Days, FromField, Minutes, Plan, UnlessLate, WholeDay

_LONGEST_DAYS = 3650
_MINUTES_OF_DAY = 24 * 60

_MINUTE_UNITS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(["m", "min", "mins", "minute", "minutes"], 1),
        **dict.fromkeys(["м", "мин", "минута", "минуты", "минуту", "минут"], 1),
        **dict.fromkeys(["h", "hour", "hours", "ч", "час", "часа", "часов"], 60),
    }
)
_DAY_UNITS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(["d", "day", "days", "д", "дн", "день", "дня", "дней"], 1),
        **dict.fromkeys(["w", "week", "weeks", "нед", "неделя", "неделю", "недели", "недель"], 7),
    }
)
_WORKING = ["working", "business", "work", "рабочий", "рабочего", "рабочих", "рабочие", "рабочая", "рабочую", "раб"]
_END_OF_DAY = Days(0, working=True)
_TOMORROW = WholeDay(1)
_NEXT_WORKING_DAY = Days(1, working=True)
_NAMED_DAYS: Mapping[str, Days | WholeDay] = MappingProxyType(
    {
        **dict.fromkeys(("today", "сегодня"), WholeDay(0)),
        **dict.fromkeys(("tomorrow", "next day", "завтра", "следующий день", "следующего дня"), _TOMORROW),
        **dict.fromkeys(("end of day", "end of working day", "конец дня", "до конца дня"), _END_OF_DAY),
        **dict.fromkeys(("конец рабочего дня", "до конца рабочего дня"), _END_OF_DAY),
        **dict.fromkeys(("next working day", "следующий рабочий день"), _NEXT_WORKING_DAY),
        **dict.fromkeys(("следующего рабочего дня", "на следующий рабочий день"), _NEXT_WORKING_DAY),
    }
)
_OTHER_WORDS = ["in", "через", "at", "в", "until", "до", "if", "after", "если", "после", "field:", "поле:"]
WORDS = frozenset({*_MINUTE_UNITS, *_DAY_UNITS, *_WORKING, *_OTHER_WORDS, *" ".join(_NAMED_DAYS).split()})
"""All words that a phrase may be made of."""

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_SPAN = re.compile(
    rf"(?:(?:in|через)\s+|\+\s*)?(?P<count>\d+)\s*(?P<working>(?:{'|'.join(_WORKING)})\b\.?\s*)?(?P<unit>[^\W\d_]+)\.?",
    re.IGNORECASE,
)
_TIMED = re.compile(r"(?P<what>.*?)\s+(?:(?:at|в)\s+)?(?P<at>\d\S*:\S*)", re.IGNORECASE)
_LATE = re.compile(
    r"(?:(?P<usual>.*?\S),?\s+)?(?:until|до)\s+(?P<at>\d\S*)\s+(?P<day>\S.*?),?\s+"
    r"(?:if\s+after|если\s+после)\s+(?P<late>\S+)",
    re.IGNORECASE,
)
_LATE_WORDS = re.compile(r"\b(?:if\s+after|если\s+после)\b", re.IGNORECASE)
_FIELD = re.compile(r"(?:field|поле)\s*:(?P<rest>.*)", re.IGNORECASE)
QUOTES = (("«", "»"), ('"', '"'), ("“", "”"))
"""Pairs that a field's name may stand in, so that nothing in it is taken for a shift or a time."""
_QUOTED = re.compile(r'\s*(?:«(?P<a>[^»]+)»|"(?P<b>[^"]+)"|“(?P<c>[^”]+)”)(?P<rest>.*)')
_SHIFTED = re.compile(r"(?P<name>.*)\s(?P<sign>[-+−–—])\s*(?P<by>\d.*)")


class BadPhrase(ValueError):
    """A part of a phrase is not understood: ``part`` of the text, and ``why`` (Russian)."""

    def __init__(self, part: str, why: str) -> None:
        self.part = part
        self.why = why
        super().__init__(part, why)


def parse_phrase(text: str) -> Plan:
    """The plan of a phrase whose spaces are single. Raises BadPhrase."""
    late = _LATE.fullmatch(text)
    if late is None:
        return _plain(text)
    day = _NAMED_DAYS.get(late["day"].lower())
    if day not in (_TOMORROW, _NEXT_WORKING_DAY):
        raise BadPhrase(late["day"], "здесь может стоять только следующий рабочий день или завтра")
    usual = _plain(late["usual"]) if late["usual"] else _END_OF_DAY
    return UnlessLate(usual, _time(late["late"]), replace(day, at=_time(late["at"])))


def _plain(text: str) -> Plan:
    of_field = _FIELD.fullmatch(text)
    if of_field is not None:
        return _of_field(of_field["rest"])
    what, at = _split_time(text)
    return _with_time(_NAMED_DAYS.get(what.lower()) or _span(what), at)


def _of_field(text: str) -> FromField:
    quoted = _QUOTED.fullmatch(text)
    rest, at = _split_time(quoted["rest"] if quoted else text)
    shifted = _SHIFTED.fullmatch(rest)
    unquoted = (shifted["name"] if shifted else rest).strip()
    if quoted and unquoted:
        raise BadPhrase(unquoted, "после имени поля может стоять сдвиг («+ 2 d», «- 2 d») и время")
    if not quoted and _LATE_WORDS.search(unquoted):
        raise BadPhrase(unquoted, "условие пишется так: «…, until 11:00 next working day if after 20:00»")
    name = quoted["a"] or quoted["b"] or quoted["c"] if quoted else unquoted
    if not name.strip():
        raise BadPhrase("field:", "не сказано, какое поле")
    if shifted is None:
        return FromField(name.strip(), at=at)
    return FromField(name.strip(), _with_time(_shift(shifted), at))


def _shift(shifted: re.Match[str]) -> Days | Minutes:
    try:
        span = _span(shifted["by"])
    except BadPhrase as bad:
        raise BadPhrase(bad.part, f"{bad.why} (если это часть имени поля, возьмите имя в «кавычки»)") from None
    return span if shifted["sign"] == "+" else replace(span, count=-span.count)


def _span(text: str) -> Days | Minutes:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise _not_a_span(text)
    count, unit, working = int(found["count"]), found["unit"].lower(), found["working"] is not None
    if unit in _MINUTE_UNITS:
        count *= _MINUTE_UNITS[unit]
        days = count / _MINUTES_OF_DAY
    elif unit in _DAY_UNITS:
        days = count = count * _DAY_UNITS[unit]
    else:
        raise BadPhrase(found["unit"], "такой единицы нет; есть минуты, часы, дни, недели")
    if working and _DAY_UNITS.get(unit) == 7:
        raise BadPhrase(text, "рабочих недель нет, считайте рабочими днями")
    if not 0 < days <= _LONGEST_DAYS:
        raise BadPhrase(found["count"], f"срок должен быть больше нуля и не дольше {_LONGEST_DAYS} дней")
    return Minutes(count, working) if unit in _MINUTE_UNITS else Days(count, working)


def _not_a_span(text: str) -> BadPhrase:
    if not text:
        return BadPhrase(text, "пусто")
    for word in re.split(r"[\s,]+", text):
        if re.fullmatch(r"\d+[.,]\d+", word):
            return BadPhrase(word, "дробей нет, возьмите единицу поменьше: «90 minutes»")
        if ":" in word:
            return BadPhrase(word, "время стоит после дня: «tomorrow 12:00»")
        if not re.fullmatch(r"\+?\d+|", word) and word.lower().rstrip(".") not in WORDS:
            return BadPhrase(word, "такого слова в сроках нет")
    if not re.search(r"\d", text):
        return BadPhrase(text, "не хватает числа или других слов")
    if re.fullmatch(r"\+?\s*\d+", text):
        return BadPhrase(text, "не сказано, чего: минут, часов, дней")
    return BadPhrase(text, "слова не складываются в срок")


def _split_time(text: str) -> tuple[str, time | None]:
    timed = _TIMED.fullmatch(text)
    return (timed["what"], _time(timed["at"])) if timed else (text, None)


def _with_time(plan: Days | Minutes | WholeDay, at: time | None) -> Days | Minutes | WholeDay:
    if at is None:
        return plan
    if isinstance(plan, Minutes):
        raise BadPhrase(f"{at:%H:%M}", "время суток можно добавить к дням, но не к часам и минутам")
    if plan == _END_OF_DAY:
        raise BadPhrase(f"{at:%H:%M}", "у конца дня своё время; для другого пишите «today 18:00»")
    return replace(plan, at=at)


def _time(text: str) -> time:
    found = _TIME.fullmatch(text)
    if found is None:
        raise BadPhrase(text, "не время суток; пишите от 0:00 до 23:59")
    return time(int(found[1]), int(found[2]))
