"""Cells read strictly: a length, a moment, a mark, an address is read whole, or it is not read at all.

calamine gives numbers as floats (a phone as 79031112233.0), dates as dates, empty cells as ""; a text file gives texts.
A reader answers None (or nothing) for what it can't read; ``is_nothing`` tells that from an empty cell.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, Literal

from amo_bridge.text.addresses import mail_key, numbers_in

Cell = str | float | int | bool | date | datetime | time | timedelta | None
Unit = Literal["h", "m", "s", "d"]
Order = Literal["day first", "month first"]

# Nobody watches for longer: what says so is something else, seconds perhaps.
MOST_MINUTES = 24 * 60
LONGEST_TOLD = 40
# Longer than any honest cell of addresses; reading numbers out of a text costs time.
LONGEST_ADDRESSES = 500
LONGEST_NAME = 250
# Longer than any length, moment or mark that people write.
LONGEST_VALUE = 100
# What stands after that in a cell is a comment, if anything.
LONGEST_READ = 2_000

_NOTHING = frozenset({
    "", "0", "-", "--", "---", "−", "–", "—", "нет", "no", "n", "false", "ложь", "none", "null", "nan", "n/a", "н/д",
    "[]", "{}", "нет данных", "не указан", "не указана", "не указано", "не указаны", "отсутствует", "#н/д", "#n/a",
})  # fmt: skip
_SPACES = re.compile(r"[\s\u00a0\u202f\u2007\u2009]+")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060\ufeff\u00ad]")


def text(cell: Cell) -> str:
    """The cell as people read it: spaces made plain, no invisible characters."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "+" if cell else ""
    if isinstance(cell, float) and cell.is_integer():
        return f"{cell:.0f}"
    written = str(cell)
    return _kept_text(written) if len(written) <= LONGEST_READ else _plain_text(written[:LONGEST_READ])


def _plain_text(told: str) -> str:
    written = _SPACES.sub(" ", _INVISIBLE.sub("", told)).strip()
    # Excel's ways to keep a number as a text: ="79161234567" and '79161234567.
    if written.startswith('="') and written.endswith('"'):
        return written[2:-1]
    return written[1:] if written.startswith("'") else written


# A cell is looked at many times: as a mark, a name, a length.
_kept_text = lru_cache(maxsize=8192)(_plain_text)


def is_nothing(cell: Cell) -> bool:
    """Whether the cell is empty or holds one of the ways to write "none": 0, −, нет …"""
    return text(cell).casefold() in _NOTHING


def name(cell: Cell) -> str:
    """A person's name as it stands there, in one line; a formula is kept as text."""
    written = text(cell)
    return "" if is_nothing(written) else written[:LONGEST_NAME]


# --- lengths ----------------------------------------------------------------------------------------------------------

_NUMBER = r"\d+(?:[.,]\d+)?"
_PLAIN_NUMBER = re.compile(rf"{_NUMBER}|\d{{1,3}}(?: \d{{3}})+")
_CLOCK = re.compile(r"(\d{1,3}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?(?: ?([a-zа-я.]+))?")
_ISO = re.compile(r"pt(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)(?:\.\d+)?s)?")
_UNIT_WORDS: dict[Unit, str] = {
    "d": r"д|дн|день|дня|дней|d|day|days",
    "h": r"ч|час|часа|часов|h|hr|hrs|hour|hours",
    "m": r"м|мин|минута|минуту|минуты|минут|m|min|mins|minute|minutes|'|′",
    "s": r"с|сек|секунда|секунду|секунды|секунд|s|sec|secs|second|seconds|\"|″",
}
_GROUPED = rf"\d{{1,3}}(?: \d{{3}})+|{_NUMBER}"
_IN_WORDS = re.compile(
    "".join(
        rf"(?:(?P<{unit}>{_GROUPED}) ?(?:{told})(?![a-zа-я])\.?,? ?(?:и |and )?)?" for unit, told in _UNIT_WORDS.items()
    )
    + r"(?P<rest>\d{1,2})?"
)  # fmt: skip
_WHOLE_WORDS = {"полчаса": 30.0, "час": 60.0, "полтора часа": 90.0, "минута": 1.0}
_MINUTES_IN: dict[Unit, float] = {"d": 1440.0, "h": 60.0, "m": 1.0, "s": 1 / 60}


def minutes(cell: Cell, unit: Unit = "m", *, short_clock: Literal["h:mm", "m:ss"] = "h:mm") -> float | None:
    """A length in minutes: 61, «1 ч 02 мин», «1:02:30», a duration.

    ``unit``: of a number that names none. ``short_clock``: what «1:05» means. None: nothing there, or not a length.
    """
    found = _minutes(cell, unit, short_clock)
    return found if found is not None and 0 <= found <= MOST_MINUTES else None


def _minutes(cell: Cell, unit: Unit, short_clock: str) -> float | None:
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, float | int):
        return float(cell) * _MINUTES_IN[unit]
    if isinstance(cell, timedelta):
        return cell.total_seconds() / 60
    if isinstance(cell, time):
        return cell.hour * 60 + cell.minute + cell.second / 60
    if isinstance(cell, datetime) and cell.year <= 1900:
        # Excel keeps [h]:mm as days since 31.12.1899.
        return (cell.replace(tzinfo=None) - datetime(1899, 12, 31)).total_seconds() / 60  # noqa: DTZ001
    if isinstance(cell, date):
        return None
    return _minutes_in_words(text(cell).casefold(), unit, short_clock)


def _minutes_in_words(written: str, unit: Unit, short_clock: str) -> float | None:
    if len(written) > LONGEST_VALUE:
        return None
    if written in _WHOLE_WORDS:
        return _WHOLE_WORDS[written]
    if _PLAIN_NUMBER.fullmatch(written):
        return _float(written) * _MINUTES_IN[unit]
    if found := _CLOCK.fullmatch(written):
        return _clock_minutes(found, short_clock)
    if (iso := _ISO.fullmatch(written)) and written != "pt":
        hours, mins, seconds = (int(part or 0) for part in iso.groups())
        return hours * 60 + mins + seconds / 60
    words = _IN_WORDS.fullmatch(written)
    if words is None or not any(words[part] for part in _UNIT_WORDS):
        return None
    if words["rest"] and (not words["h"] or words["m"] or words["s"]):
        return None
    total = sum(_float(told) * _MINUTES_IN[part] for part in _UNIT_WORDS if (told := words[part]))
    return total + float(words["rest"] or 0)


def _clock_minutes(found: re.Match[str], short_clock: str) -> float | None:
    first, second, third = int(found[1]), int(found[2]), found[3]
    named = unit_named(found[4] or "") if found[4] else None
    if found[4] and named is None:
        return None
    if second > 59 or (third and int(third) > 59):
        return None
    if third:
        return first * 60 + second + int(third) / 60
    if named == "m" or (named is None and short_clock == "m:ss"):
        return first + second / 60
    return first * 60 + second


def _float(written: str) -> float:
    return float(written.replace(" ", "").replace(",", "."))


def unit_named(words: str) -> Unit | None:
    """The unit that a few words of a heading name («сек.», «в минутах», «hh:mm»); None if none or several."""
    plain = words.casefold().strip(" .,;:()[]")
    plain = re.sub(r"^(?:в|in)\s+", "", plain)
    if plain in ("минутах", "часах", "секундах"):
        return {"минутах": "m", "часах": "h", "секундах": "s"}[plain]  # type: ignore[return-value]
    found = [unit for unit, told in _UNIT_WORDS.items() if re.fullmatch(rf"(?:{told})\.?", plain)]
    return found[0] if found else None


def is_short_clock(cell: Cell) -> tuple[int, int] | None:
    """The two numbers of «65:10»; None for anything else."""
    found = re.fullmatch(r"(\d{1,3}):(\d{2})", text(cell)) if isinstance(cell, str) else None
    return (int(found[1]), int(found[2])) if found else None


def is_long_clock(cell: Cell) -> bool:
    """Whether the cell is a text like «1:05:00»."""
    return isinstance(cell, str) and re.fullmatch(r"\d{1,2}:\d{2}:\d{2}", text(cell)) is not None


# --- moments ----------------------------------------------------------------------------------------------------------

_MONTHS: dict[str, int] = {}
for _number, _names in enumerate((
    "января январь янв jan january", "февраля февраль фев февр feb february", "марта март мар mar march",
    "апреля апрель апр apr april", "мая май may", "июня июнь июн jun june", "июля июль июл jul july",
    "августа август авг aug august", "сентября сентябрь сен сент sep sept september",
    "октября октябрь окт oct october", "ноября ноябрь ноя нояб nov november", "декабря декабрь дек dec december",
), start=1):  # fmt: skip
    _MONTHS |= dict.fromkeys(_names.split(), _number)

_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_WEEKDAY = re.compile(
    r"^(?:пн|вт|ср|чт|пт|сб|вс|понедельник|вторник|среда|четверг|пятница|суббота|воскресенье|"
    r"mon|tue|wed|thu|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b[., ]*"
)
_DAYS = (
    re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"),
    re.compile(r"(?P<a>\d{1,2})(?P<sign>[./-])(?P<b>\d{1,2})(?P=sign)(?P<y>\d{4}|\d{2})"),
    re.compile(rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[ -](?P<name>{_MONTH})\.?[ ,-]+(?P<y>\d{{4}}|\d{{2}})"),
    re.compile(rf"(?P<name>{_MONTH})\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y>\d{{4}})"),
)
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?(?: ?(?P<half>[ap])\.?m\.?)?"
_OFFSETS = {
    "z": 0.0, "utc": 0.0, "gmt": 0.0, "msk": 3.0, "мск": 3.0, "est": -5.0, "edt": -4.0, "pst": -8.0, "pdt": -7.0,
    "cet": 1.0, "cest": 2.0, "eet": 2.0, "eest": 3.0,
}  # fmt: skip
_ZONE = rf"\(?(?P<zone>{'|'.join(_OFFSETS)})?(?P<offset>[+-]\d{{1,2}}(?::?\d{{2}})?)?\)?"
_TIME_OF_DAY = re.compile(rf"{_TIME}(?: ?{_ZONE})?")
_DOTTED_TIME = re.compile(r"(\d{1,2})[.](\d{2})")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(?:\d{4}|\d{2})(?!\d)")
_SERIAL_FROM, _SERIAL_TILL = 20_000, 80_000  # 1954 … 2119, as Excel counts days


def moment(
    cell: Cell, *, order: Order = "day first", zone: tzinfo = UTC, told_in: tzinfo | None = None
) -> datetime | None:
    """A date with or without a time, naive, on the wall clock of ``zone``.

    ``order``: how 09/10/2021 is to be read. ``told_in``: the zone of moments that name none; None: they are on the
    wall clock already. Seconds and milliseconds since 1970 and Excel's days are read as well.
    """
    if isinstance(cell, datetime):
        return _on_the_wall(cell, cell.tzinfo or told_in, zone)
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - the wall clock of the file
    if cell is None or isinstance(cell, bool | time | timedelta):
        return None
    if isinstance(cell, float | int):
        return _of_number(float(cell), zone)
    if len(cell) > LONGEST_VALUE:
        return None
    written = re.sub(r"(?<=\d)t(?=\d)", " ", text(cell).casefold())
    written = _WEEKDAY.sub("", written)
    written = re.sub(r"(?<=\d) ?(?:г\.|года|г)(?=[ ,]|$)", "", written)
    written = re.sub(r",? (?:в|at) |, ", " ", written)
    if re.fullmatch(r"\d{10}|\d{13}", written):
        return _of_number(float(written), zone)
    return _of_text(written.strip(" ,"), order, zone, told_in)


def _of_text(written: str, order: Order, zone: tzinfo, told_in: tzinfo | None) -> datetime | None:
    for pattern in _DAYS:
        found = pattern.match(written)
        if found is None and (late := re.fullmatch(rf"(?P<rest>{_TIME}),? (?P<day>\S.*)", written)):
            # The time may stand first: «19:02 13.09.2021».
            found = pattern.fullmatch(late["day"])
            rest = late["rest"]
        else:
            rest = written[found.end() :] if found else ""
        if found is None:
            continue
        day = _day(found, order)
        if day is None:
            return None
        rest = rest.strip()
        if not rest:
            return datetime.combine(day, time())
        of_day = _time_of_day(rest)
        if of_day is None:
            return None
        return _on_the_wall(datetime.combine(day, of_day[0]), of_day[1] or told_in, zone)
    return None


def _day(found: re.Match[str], order: Order) -> date | None:
    told = found.groupdict()
    year = int(told["y"]) + (2000 if len(told["y"]) == 2 else 0)
    if "name" in told:
        month, day = _MONTHS[told["name"]], int(told["d"])
    elif "a" in told:
        first, second = int(told["a"]), int(told["b"])
        # Dots are never American.
        is_day_first = told["sign"] == "." or order == "day first"
        day, month = (first, second) if is_day_first else (second, first)
    else:
        month, day = int(told["m"]), int(told["d"])
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _time_of_day(written: str) -> tuple[time, tzinfo | None] | None:
    """The time and the zone that it names."""
    found = _TIME_OF_DAY.fullmatch(written)
    if found is None:
        return None
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    if found["half"]:
        if not 0 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"] == "p" else 0)
    try:
        return time(hour, minute, second), _zone(found["zone"], found["offset"])
    except ValueError:
        return None


def _zone(called: str | None, offset: str | None) -> tzinfo | None:
    if not called and not offset:
        return None
    minutes_off = _OFFSETS.get(called or "", 0.0) * 60
    if offset:
        sign = -1 if offset[0] == "-" else 1
        digits = offset[1:].replace(":", "")
        hours, mins = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
        minutes_off += sign * (int(hours) * 60 + int(mins))
    return timezone(timedelta(minutes=minutes_off))


def zone_named(words: str) -> tzinfo | None:
    """The zone that a heading's brackets name: «МСК», «UTC+3»."""
    found = re.fullmatch(_ZONE, words.casefold().replace(" ", ""))
    return _zone(found["zone"], found["offset"]) if found else None


def _on_the_wall(told: datetime, of: tzinfo | None, zone: tzinfo) -> datetime:
    if of is None:
        return told
    try:
        return told.replace(tzinfo=of).astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return told.replace(tzinfo=None)


def _of_number(number: float, zone: tzinfo) -> datetime | None:
    if _SERIAL_FROM < number < _SERIAL_TILL:
        told = datetime(1899, 12, 30) + timedelta(days=number)  # noqa: DTZ001 - the wall clock of the file
        return (told + timedelta(milliseconds=500)).replace(microsecond=0)
    seconds = number / 1000 if number > 1e11 else number
    if not 1e9 < seconds < 4e9:
        return None
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone).replace(tzinfo=None)


def clock(cell: Cell) -> time | None:
    """A time of day without a date: «19:02», «7:02 PM», «19.02», Excel's part of a day."""
    if isinstance(cell, time):
        return cell
    if isinstance(cell, bool):
        return None
    if isinstance(cell, float) and 0 <= cell < 1:
        return (datetime(1900, 1, 1) + timedelta(days=cell, milliseconds=500)).time().replace(microsecond=0)  # noqa: DTZ001
    if not isinstance(cell, str) or len(cell) > LONGEST_VALUE:
        return None
    written = text(cell).casefold()
    if dotted := _DOTTED_TIME.fullmatch(written):
        written = f"{dotted[1]}:{dotted[2]}"
    found = _time_of_day(written)
    return found[0] if found else None


_SHORT_DAYS = (
    re.compile(rf"(?<!\d)(?P<d>\d{{1,2}}) (?P<name>{_MONTH})\b"),
    re.compile(r"(?<![\d.:])(?P<d>\d{1,2})\.(?P<m>\d{2})(?![\d.:])"),
)


def day_in(words: str, order: Order = "day first", year: int | None = None) -> date | None:
    """The one day that a line of words names («Вебинар 6 октября 2021, утро»); None if it names none or several.
    ``year``: of a day that names none («6 октября»)."""
    written = text(words).casefold()[:LONGEST_ADDRESSES]
    found: set[date] = set()
    for pattern in _DAYS:
        for one in pattern.finditer(written):
            at = one.start()
            is_part = (at and written[at - 1].isalnum()) or written[one.end() : one.end() + 1].isdigit()
            if not is_part and (day := _day(one, order)):
                found.add(day)
    if year and not found:
        for pattern in _SHORT_DAYS:
            for one in pattern.finditer(written):
                month = _MONTHS[one["name"]] if "name" in one.groupdict() else int(one["m"])
                with suppress(ValueError):
                    found.add(date(year, month, int(one["d"])))
    return found.pop() if len(found) == 1 else None


def order_in(cells: Iterable[Cell]) -> Order | None:
    """How the dates with slashes are written, where at least one of them can be read in one way only."""
    firsts: set[Order] = set()
    for cell in cells:
        if isinstance(cell, str) and (found := _SLASHED.search(cell)):
            if int(found[1]) > 12:
                firsts.add("day first")
            elif int(found[2]) > 12:
                firsts.add("month first")
    return firsts.pop() if len(firsts) == 1 else None


def is_slashed(cell: Cell) -> bool:
    """Whether the cell has a date like 04/10/2022."""
    return isinstance(cell, str) and _SLASHED.search(cell) is not None


# --- marks ------------------------------------------------------------------------------------------------------------

YES = frozenset({
    "да", "+", "1", "y", "yes", "true", "истина", "✓", "✔", "✅", "v", "был", "была", "были", "есть", "ага",
    "присутствовал", "присутствовала", "присутствует", "посетил", "посетила", "пришел", "пришла", "участвовал",
    "участвовала", "зашел", "зашла", "дошел", "дошла", "смотрел", "смотрела", "attended", "present", "joined",
    "visited", "came", "присутствовал до конца", "присутствовала до конца", "был до конца", "была до конца",
    "досмотрел", "досмотрела", "досмотрел до конца", "досмотрела до конца", "ушел раньше", "ушла раньше", "опоздал",
    "опоздала", "присутствовал частично", "присутствовала частично", "left early", "joined late", "attended partially",
    "нажал", "нажала", "нажато", "нажата", "кликнул", "кликнула", "клик", "clicked", "click", "on",
})  # fmt: skip
NO = frozenset({
    "нет", "-", "--", "−", "–", "—", "0", "n", "no", "false", "ложь", "✗", "✘", "❌", "не был", "не была", "не было",
    "не были", "не присутствовал", "не присутствовала", "отсутствовал", "отсутствовала", "отсутствует", "не посетил",
    "не посетила", "не пришел", "не пришла", "не участвовал", "не участвовала", "не зашел", "не зашла", "не дошел",
    "не дошла", "не смотрел", "не смотрела", "не явился", "не явилась", "пропустил", "пропустила", "неявка",
    "absent", "not attended",
    "did not attend", "didn't attend", "no show", "no-show", "noshow", "missed", "not joined", "did not join",
    "registered", "зарегистрирован", "зарегистрирована", "зарегистрировался", "зарегистрировалась",
    "только регистрация",
    "не нажал", "не нажала", "не нажимал", "не нажимала", "не кликал", "не кликала", "не нажато", "not clicked",
    "none",
    "null", "[]", "off",
})  # fmt: skip


def mark(cell: Cell) -> bool | None:
    """Whether the cell says yes or no; None for an empty cell and for anything else."""
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, int | float):
        return cell > 0
    written = text(cell).casefold().replace("ё", "е").strip(" .!")
    if written in NO:
        return False
    if written in YES:
        return True
    if count := re.fullmatch(r"(\d+)(?: ?(?:раза?|клик(?:а|ов)?|нажати[еяй]|times?|clicks?))?", written):
        return int(count[1]) > 0
    return None


def labels(cell: Cell) -> tuple[str, ...]:
    """The names in a cell: «Баннер, help» → two; a JSON list of names or of objects is read as such."""
    written = text(cell)
    if written[:1] + written[-1:] in ("[]", "{}"):
        listed = _listed(written)
        if listed is not None:
            return tuple(dict.fromkeys(label for one in listed if (label := _label(one))))
        written = written[1:-1]
    parts = (_counted(part.strip().strip("\"'«»“”").strip()) for part in re.split(r"[,;|\n]", written))
    return tuple(dict.fromkeys(part for part in parts if not is_nothing(part) and mark(part) is not False))


_COUNTED = re.compile(r"(.*[^\W\d_].*?)\s*(?:[(\[]\s*(\d{1,4})(?: ?раза?)?\s*[)\]]|[x×х] ?(\d{1,4})|: ?(\d{1,4}))")
_COUNT_KEYS = ("count", "clicks", "times", "number", "value", "количество")
_LABEL_KEYS = ("name", "title", "label", "text", "caption", "button", "название", "id")


def _counted(label: str) -> str:
    """«Купить (2)», «Купить ×2», «Купить: 2» → «Купить»; nothing for one that was clicked 0 times."""
    found = _COUNTED.fullmatch(label)
    if found is None:
        return label
    return found[1].strip() if int(found[2] or found[3] or found[4]) else ""


def _listed(written: str) -> list[Any] | None:
    """A list or a dict as JSON or as Python writes it; of a dict of counts each name by itself."""
    for read in (json.loads, ast.literal_eval):
        try:
            told = read(written)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(told, dict):
            return [told] if told.keys() & {*_LABEL_KEYS} else [name for name, count in told.items() if count]
        if isinstance(told, list | tuple | set):
            return list(told)
    return None


def _label(one: Any) -> str:
    if isinstance(one, dict):
        counts = [one[key] for key in _COUNT_KEYS if key in one]
        if counts and all(mark(count) is False for count in counts if isinstance(count, str | int | float)):
            return ""
        one = next((one[key] for key in _LABEL_KEYS if one.get(key)), "")
    if not isinstance(one, str | int | float) or isinstance(one, bool) or is_nothing(one):
        return ""
    return _counted(text(one))


# --- addresses --------------------------------------------------------------------------------------------------------

_BETWEEN_MAILS = re.compile(r"[,;<>|()\[\]\"]|\s+(?=\S+@)")
_MAIL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:xn--[a-z0-9-]+|[a-z]{2,24})")  # fmt: skip  # noqa: E501
GUEST = frozenset({"гость", "guest", "аноним", "anonymous", "без почты", "не указал", "не указала"})
"""Words that say in an address's cell that somebody has given none."""
# One sign at a time: no two ways to read the same text, so nothing to go back over.
_LIKE_A_PHONE = re.compile(
    r"(?:тел|моб|phone|whatsapp)?[.:\s]*[+\d(](?:[\d\s()+./,;–—‑-]|(?:доб|вн|ext|x)\.? ?\d|или|and|"
    r"or)*",
    re.IGNORECASE,
)


def mails(cell: Cell) -> tuple[tuple[str, ...], str]:
    """The addresses in a cell in the form in which they are compared, and what stands there and is none."""
    written = text(cell)
    if is_nothing(written) or written.casefold() in GUEST:
        return (), ""
    if len(written) > LONGEST_ADDRESSES:
        return (), written
    found: list[str] = []
    is_foreign = False
    for part in _BETWEEN_MAILS.split(written):
        address = re.sub(r"^mailto:", "", part.strip(), flags=re.IGNORECASE).partition("?")[0]
        if "@" not in address:
            continue
        if "#ext#" in address.casefold():
            # Microsoft's own name for a guest; his address is in it, but not whole.
            is_foreign = True
            continue
        key = mail_key(address)
        if key is None or _mixes_scripts(address) or not _MAIL.fullmatch(key):
            return tuple(found), written
        found.append(key)
    return tuple(dict.fromkeys(found)), "" if found or is_foreign else written


def _mixes_scripts(address: str) -> bool:
    """Whether a part between dots mixes letters of two alphabets: a Cyrillic «а» that looks like a Latin one."""
    plain = "".join(char for char in address if unicodedata.category(char) != "Cf")
    for part in re.split(r"[.@]", plain.casefold()):
        has_cyrillic = re.search(r"[а-яёіїєґ]", part) is not None
        if has_cyrillic and re.search(r"[a-z]", part):
            return True
    return re.search(r"[а-яёіїєґ]", plain.rpartition("@")[0].casefold()) is not None


def phones(cell: Cell) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The numbers in a cell in E.164, and what stands there and is none."""
    written = re.sub(r"\.0$", "", text(cell))
    if is_nothing(written) or written.casefold() in GUEST:
        return (), ()
    if len(written) > LONGEST_ADDRESSES or not _LIKE_A_PHONE.fullmatch(written):
        return (), (written[:LONGEST_TOLD],)
    found = numbers_in(written)
    return found, () if found else (written,)
