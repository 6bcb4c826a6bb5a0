"""Cells: what a spreadsheet or a text file has in one of them → a text, a number, a moment, a yes.

calamine gives numbers as floats (a phone as 79031112233.0), dates as dates, empty cells as ""; a text file gives texts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal, get_args

from amo_bridge.text.addresses import mails_in, numbers_in
from amo_bridge.text.names import normalise

Cell = str | float | int | bool | date | datetime | time | timedelta | None
Row = list[Cell]
# Nobody watches for longer: what says so is something else, seconds perhaps.
_MOST_MINUTES = 24 * 60
_LONGEST_TOLD = 40

_NOTHING = frozenset({"", "0", "-", "--", "−", "–", "—", "нет", "no", "n", "false", "ложь", "none", "null"})
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")
_CLOCK = re.compile(r"(\d{1,3}):(\d{2})(?::(\d{2}))?")
_DAY_FIRST = ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y")
_MONTH_FIRST = ("%m/%d/%Y",)
_EITHER = ("%Y-%m-%d", "%Y/%m/%d", "%b %d, %Y")
_TIMES = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")


def text(cell: Cell) -> str:
    """The cell as people read it, spaces made plain."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return f"{cell:.0f}"
    if isinstance(cell, bool):
        return "+" if cell else ""
    return " ".join(str(cell).split())


def is_nothing(cell: Cell) -> bool:
    """An empty cell, or one of the ways to write "none": 0, −, нет …"""
    return text(cell).casefold() in _NOTHING


def is_yes(cell: Cell) -> bool:
    """«+», «да», a count: anything but nothing."""
    return not is_nothing(cell)


def labels(cell: Cell) -> tuple[str, ...]:
    """The names in a cell: «Баннер, help» → two."""
    parts = (part.strip() for part in re.split(r"[,;|\n]", text(cell)))
    return tuple(dict.fromkeys(part for part in parts if not is_nothing(part)))


def minutes(cell: Cell) -> float | None:
    """A length in minutes: 61, «61 мин», «1:02:30», a duration; None for what is none, or can't be one."""
    found = _minutes(cell)
    return found if found is not None and 0 <= found <= _MOST_MINUTES else None


def odd(**read: tuple[Cell, Any]) -> dict[str, str]:
    """Field=(its cell, what was read of it) → what stands in the cells of which nothing could be read."""
    return {
        field: text(cell)[:_LONGEST_TOLD]
        for field, (cell, found) in read.items()
        if found in (None, ()) and not is_nothing(cell)
    }


def _minutes(cell: Cell) -> float | None:
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, float | int):
        return float(cell)
    if isinstance(cell, timedelta):
        return cell.total_seconds() / 60
    if isinstance(cell, time):
        return cell.hour * 60 + cell.minute + cell.second / 60
    if clock := _CLOCK.fullmatch(text(cell)):
        return int(clock[1]) * 60 + int(clock[2]) + int(clock[3] or 0) / 60
    number = _NUMBER.match(text(cell))
    return float(number[0].replace(",", ".")) if number else None


def moment(cell: Cell, *, day_first: bool = True) -> datetime | None:
    """A date with or without a time. ``day_first``: how 09/10/2021 is to be read."""
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=None)
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - the wall clock of the file
    written = text(cell).replace("T", " ") if cell is not None else ""
    days = (*_EITHER, *(_DAY_FIRST if day_first else _MONTH_FIRST), *(_MONTH_FIRST if day_first else _DAY_FIRST))
    for day in days:
        for form in (day, *(f"{day} {time_of_day}" for time_of_day in _TIMES)):
            with suppress(ValueError):
                return datetime.strptime(written, form)  # noqa: DTZ007 - the wall clock of the file
    return None


def clock(cell: Cell) -> time | None:
    """A time of day, with or without a date before it."""
    if isinstance(cell, datetime):
        return cell.time()
    if isinstance(cell, time):
        return cell
    if isinstance(cell, float) and 0 <= cell < 1:
        # Excel's own way to keep a time: a part of the day.
        return (datetime(1900, 1, 1) + timedelta(days=cell)).time().replace(microsecond=0)  # noqa: DTZ001
    found = re.search(r"(?:^|\s)(\d{1,2}):(\d{2})(?::(\d{2}))?$", text(cell))
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        return None
    return time(int(found[1]), int(found[2]), int(found[3] or 0))


def phones(cell: Cell) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The numbers in a cell in E.164, and what stands there and is none."""
    written = text(cell)
    if is_nothing(written):
        return (), ()
    found = numbers_in(written)
    return found, () if found else (written,)


def mails(cell: Cell) -> tuple[str, ...]:
    """The addresses in a cell, in the form in which they are compared."""
    return mails_in(text(cell))


def name(cell: Cell) -> str:
    """A person's name as it stands there, in one line; never a formula, whatever it begins with: it is kept as text."""
    written = text(cell)
    return "" if is_nothing(written) else written[:250]


# A table of cells, and what makes one of a file: a book's sheets or a text's lines.


@dataclass(frozen=True)
class Table:
    """``file`` and ``sheet`` say where it is; ``sheet`` is empty for a text file. ``rows`` from the first line on."""

    file: str
    sheet: str
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def where(self) -> str:
        return f"{self.file}, лист «{self.sheet}»" if self.sheet else self.file

    def place(self, number: int) -> str:
        """A row for people: counted from 1, as Excel and text editors do."""
        return f"{self.where}, строка {number + 1}"

    def from_row(self, number: int) -> Iterator[tuple[int, Row]]:
        """(number, cells) of the rows from here on that hold anything."""
        for at in range(number, len(self.rows)):
            row = list(self.rows[at])
            if any(cell not in ("", None) for cell in row):
                yield at, row


# Which column is what: platforms name their columns each in their own way, and change the order as they please.

Field = Literal["name", "mail", "phone", "minutes", "came", "left", "from", "till", "buttons", "banner", "banned",
                "date", "attended", "ip", "city"]  # fmt: skip
FIELDS: tuple[Field, ...] = get_args(Field)

WORDS: Mapping[str, str] = {
    "name": "имя", "mail": "почта", "phone": "телефон", "minutes": "минут на вебинаре", "came": "пришёл",
    "left": "ушёл", "from": "начало интервала", "till": "конец интервала", "buttons": "нажатые кнопки",
    "banner": "клик по баннеру", "banned": "забанен", "date": "дата вебинара", "attended": "присутствовал",
    "ip": "IP", "city": "город",
}  # fmt: skip
"""What each field is called for people."""

Aliases = Mapping[Field, Sequence[str]]
# How far down a header may stand: exports put a title and a summary before it.
HEADER_WITHIN = 60


@dataclass(frozen=True)
class Columns:
    """``at``: field → number of its column. ``header``: the row with the titles."""

    header: int
    at: Mapping[Field, int]

    def cell(self, row: Row, field: Field) -> Cell:
        """The field's cell in a row; None if the table has no such column or the row is short."""
        number = self.at.get(field)
        return row[number] if number is not None and number < len(row) else None

    def has(self, *fields: Field) -> bool:
        return all(field in self.at for field in fields)


def titles(row: Sequence[Cell]) -> list[str]:
    """The cells of a header in the form in which they are compared."""
    return [normalise(text(cell)).strip(" :.") for cell in row]


def find_columns(table: Table, aliases: Aliases, *, start: int = 0, at_least: int = 2) -> Columns | None:
    """The first row in which enough columns are known, and where they are; None if there is none."""
    for number in range(start, min(start + HEADER_WITHIN, len(table.rows))):
        at = _known(titles(table.rows[number]), aliases)
        if len(at) >= at_least:
            return Columns(number, at)
    return None


def named_columns(header: int, row: Sequence[Cell], names: Mapping[Field, str]) -> Columns:
    """Columns as a person named them."""
    known = titles(row)
    at = {field: known.index(title) for field, name in names.items() if (title := _plain(name)) in known}
    return Columns(header, at)


def header_row(table: Table) -> int:
    """Where the header of an unknown table seems to be: the first of its fullest rows."""
    widths = [sum(1 for cell in row if text(cell)) for row in table.rows[:HEADER_WITHIN]]
    return widths.index(max(widths)) if widths else 0


def signature(row: Sequence[Cell]) -> str:
    """The same for every file with these columns, whatever is in them."""
    return hashlib.sha256("\0".join(titles(row)).encode()).hexdigest()[:32]


def _plain(name: str) -> str:
    return normalise(name).strip(" :.")


def _known(row: list[str], aliases: Aliases) -> dict[Field, int]:
    """An exact title wins over one that only begins so: «E-mail» before «E-mail подтверждён»."""
    at: dict[Field, int] = {}
    for field, words in aliases.items():
        wanted = [_plain(word) for word in words]
        exact = [number for word in wanted for number, title in enumerate(row) if title == word]
        begins = [number for word in wanted for number, title in enumerate(row) if title.startswith(f"{word} ")]
        free = [number for number in (*exact, *begins) if number not in at.values()]
        if free:
            at[field] = free[0]
    return at
