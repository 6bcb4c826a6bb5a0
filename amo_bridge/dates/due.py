"""Due phrases: «сегодня до 18:00», «+ 2 рабочих дня»; parsed into plans that give a moment.

``due.py`` makes them out of words. All moments are aware; results are in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from types import MappingProxyType
from typing import ClassVar, Protocol, Self

from amo_bridge.clock import in_utc
from amo_bridge.dates.calendar import ALL_DAY, WorkCalendar
from amo_bridge.dates.phrase import PhraseType
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import same_name

Fields = Mapping[str, object]
"""A deal's fields by name. One that is counted from must be a ``date`` (amoCRM's type «Дата», as the account's clocks
show it) or an aware ``datetime`` («Дата и время»); None is an empty one."""


class FieldNotFilled(ValueError):
    """The phrase counts from a field that is empty on this deal. ``field`` is its name."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(f"поле «{field}» не заполнено, срок по нему посчитать нельзя")


class FieldNotADate(ValueError):
    """The phrase counts from a field that holds something else. ``field`` is its name."""

    def __init__(self, field: str, value: object) -> None:
        self.field = field
        super().__init__(f"в поле «{field}» не дата, а «{value}», срок по нему посчитать нельзя")


class Plan(Protocol):
    """A way to find the due moment."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields it may ask for."""

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        """The due moment (UTC). Raises FieldNotFilled, FieldNotADate."""


@dataclass(frozen=True)
class Moment:
    """A moment that is known already."""

    moment: datetime
    fields: ClassVar[tuple[str, ...]] = ()

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        return in_utc(self.moment)


@dataclass(frozen=True)
class Days:
    """So many days on: by the calendar at the same time of day, or working ones at the close of the last."""

    count: int
    working: bool = False
    at: time | None = None
    fields: ClassVar[tuple[str, ...]] = ()

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        if self.working:
            return calendar.add_working_days(now, self.count, self.at)
        local = calendar.local(now)
        return calendar.moment(local.date() + timedelta(days=self.count), self.at or local.time())


@dataclass(frozen=True)
class Minutes:
    """So many minutes on, by the clock or of working time."""

    count: int
    working: bool = False
    fields: ClassVar[tuple[str, ...]] = ()

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        step = timedelta(minutes=self.count)
        # By way of UTC: Python adds to the clock's face, which is wrong in the night when the clocks are changed.
        return calendar.add_working(now, step) if self.working else in_utc(now) + step


@dataclass(frozen=True)
class WholeDay:
    """Today (0), tomorrow (1) …: an all-day deadline unless a time is said."""

    days_on: int
    at: time | None = None
    fields: ClassVar[tuple[str, ...]] = ()

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        return calendar.moment(calendar.local(now).date() + timedelta(days=self.days_on), self.at or ALL_DAY)


@dataclass(frozen=True)
class FromField:
    """The value of a date field, shifted or not. A value without a time of day counts as all-day. ``on_working_day``: a
    day off gives way to the working day before it."""

    name: str
    shift: Plan | None = None
    at: time | None = None
    on_working_day: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.name,)

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        value = next((value for name, value in fields.items() if same_name(name, self.name)), None)
        if value is None:
            raise FieldNotFilled(self.name)
        if not isinstance(value, date):
            raise FieldNotADate(self.name, value)
        moment = self._moment(value, calendar, fields)
        local = calendar.local(moment)
        if not self.on_working_day or calendar.is_working_day(local.date()):
            return moment
        return calendar.moment(calendar.previous_working_day(local.date()), local.time())

    def _moment(self, value: date, calendar: WorkCalendar, fields: Fields) -> datetime:
        moment = value if isinstance(value, datetime) else calendar.moment(value, ALL_DAY)
        if self.shift is not None:
            return self.shift.resolve(moment, calendar, fields)
        return in_utc(moment) if self.at is None else calendar.moment(calendar.local(moment).date(), self.at)


@dataclass(frozen=True)
class UnlessLate:
    """``usual``, but from ``late_from`` o'clock on (local, that minute included) ``when_late`` instead."""

    usual: Plan
    late_from: time
    when_late: Plan

    @property
    def fields(self) -> tuple[str, ...]:
        return self.usual.fields

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields) -> datetime:
        late = calendar.local(now).time() >= self.late_from
        return (self.when_late if late else self.usual).resolve(now, calendar, fields)


# The grammar of due phrases: words of the config → a plan. ``due.py`` is the door; docs/due-dates.md the manual.
#
#     phrase  = [plain ","] "until" TIME day "if after" TIME | plain
#     plain   = "field:" NAME [("+" | "-") span] [TIME] ["," "on a working day"]  |  day [TIME]  |  span [TIME]
#     day     = "today" | "tomorrow" | "end of day" | "next working day"
#     span    = NUMBER ["working"] ("minutes" | "hours" | "days" | "weeks")
#
# Every word has Russian equivalents, and the languages may be mixed.

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
_ON_WORKING_DAY = re.compile(r",\s*(?:on\s+a\s+working\s+day|в\s+рабочий\s+день)\s*", re.IGNORECASE)
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
    if found := _ON_WORKING_DAY.search(text):
        if found.end() != len(text):
            raise BadPhrase(found[0].strip(), "эти слова стоят в конце")
        return replace(_of_field(text[: found.start()]), on_working_day=True)
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


# When a task falls due, in words: «1 working hour», «2 рабочих дня», «field: Дата дедлайна - 5 d».
#
# The phrases are English with Russian equivalents; docs/due-dates.md lists them with what they come to.

__all__ = ["EXAMPLES", "Due", "FieldNotADate", "FieldNotFilled", "Fields"]

EXAMPLES = (
    *("1 working hour", "30 minutes", "2 hours", "3 days", "2 weeks", "2 working days", "today", "tomorrow"),
    *("end of day", "next working day", "next working day 11:00", "2 d 12:00", "tomorrow 12:00"),
    *("field: Дата дедлайна", "field: Дедлайн проекта - 5 d", "field: Дата оплаты 1 + 2 working days"),
    *("until 11:00 next working day if after 20:00", "1 working hour, until 11:00 next working day if after 20:00"),
    *("1 рабочий час", "30 минут", "2 часа", "3 дня", "2 недели", "2 рабочих дня", "5 рабочих дней", "сегодня"),
    *("завтра", "завтра 12:00", "конец дня", "следующий рабочий день", "следующий рабочий день 11:00", "2 дня 12:00"),
    *("поле: Дата дедлайна", "поле: Дедлайн проекта - 5 дней", "поле: Дата оплаты 1 + 2 рабочих дня"),
    "до 11:00 следующего рабочего дня, если после 20:00",
    "1 рабочий час, до 11:00 следующего рабочего дня, если после 20:00",
)
"""Phrases of every kind. An error offers the one nearest to what was written."""

_SHOWN = "«1 working hour», «2 рабочих дня», «field: Дата дедлайна - 5 d»"
_NUMBER = re.compile(r"\d+(?::\d+)?")


@dataclass(frozen=True)
class Due(PhraseType):
    """A due phrase. Phrases of the same meaning are equal («2 days», «2 дня»); ``str()`` is the phrase as written.

    In a pydantic model it is a field's type: a string in TOML.
    """

    subject: ClassVar[str] = "срок"
    examples: ClassVar[str] = _SHOWN

    phrase: str = field(compare=False)
    plan: Plan = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Understand a phrase. ValueError, in Russian: the bad part, the nearest valid phrase, three examples."""
        phrase = " ".join(text.split())
        try:
            return cls(phrase, parse_phrase(phrase))
        except BadPhrase as bad:
            told = f"срок «{phrase}» непонятен: «{bad.part}» — {bad.why}"
            nearest = _nearest(phrase, bad.part)
        raise ValueError(f"{told}. Ближайшая верная запись: «{nearest}». Примеры: {_SHOWN}")

    @classmethod
    def of_field(cls, name: str, shift: str = "") -> Self:
        """The date in a field, by its literal name, whatever signs it has; ``shift``: «+ 2 working days», «12:00» …

        A bad shift is a ValueError as in ``parse``.
        """
        opening, closing = next((pair for pair in QUOTES if pair[1] not in name), QUOTES[0])
        return cls.parse(f"field: {opening}{name}{closing} {shift}")

    @classmethod
    def exactly(cls, moment: datetime) -> Self:
        """This very moment (aware), such as the one a task had before."""
        return cls(f"{moment:%d.%m.%Y %H:%M %Z}", Moment(moment))

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the deal's fields whose values ``resolve`` may need."""
        return self.plan.fields

    def resolve(self, now: datetime, calendar: WorkCalendar, fields: Fields = MappingProxyType({})) -> datetime:
        """The due moment (UTC), just as the phrase says: it may lie in the past, and what then is the caller's matter.

        ``fields``: a deal's values by name (case and «ё» forgiven), ``date`` or aware ``datetime`` where the phrase
        counts from one; empty there is FieldNotFilled, another type FieldNotADate, and a naive moment a ValueError.
        """
        return self.plan.resolve(now, calendar, fields)


def _nearest(phrase: str, bad: str) -> str:
    """The phrase with its bad word put right, or else the example most like it with the phrase's own numbers."""
    words = get_close_matches(bad.lower(), sorted(WORDS), n=3)
    for repaired in [*(phrase.replace(bad, word, 1) for word in words), _like_an_example(phrase)]:
        if _is_valid(repaired):
            return repaired
    return _most_alike(phrase)


def _most_alike(phrase: str) -> str:
    shapes = {_shape(example): example for example in EXAMPLES}
    return shapes[get_close_matches(_shape(phrase), shapes, n=1, cutoff=0)[0]]


def _like_an_example(phrase: str) -> str:
    example, numbers = _most_alike(phrase), _NUMBER.findall(phrase)
    if _NUMBER.sub("", example).startswith(("field:", "поле:")) or len(_NUMBER.findall(example)) != len(numbers):
        return example
    return _NUMBER.sub(lambda _: str(numbers.pop(0)), example)


def _shape(phrase: str) -> str:
    return _NUMBER.sub(lambda number: "@" if ":" in number[0] else "#", phrase.lower())


def _is_valid(phrase: str) -> bool:
    try:
        parse_phrase(phrase)
    except BadPhrase:
        return False
    return True
