"""Blocks of a table with people: preamble, header of one or two rows, sections, facts above them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, time, tzinfo
from itertools import islice

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import normalise
from amo_bridge.webinars.formats import cells, platforms
from amo_bridge.webinars.formats.cells import Cell, Order
from amo_bridge.webinars.formats.model import ExportError
from amo_bridge.webinars.formats.tables import (
    Columns,
    Field,
    Heading,
    Row,
    Table,
    header_row,
    heading,
    named_columns,
    names_of,
    overridden,
    signature,
)

# How far down a header may stand: exports put a title and a summary before it.
HEADER_WITHIN = 60
MOST_BLOCKS = 200
WHO: frozenset[Field] = frozenset({"name", "first_name", "last_name", "nick", "mail", "phone"})
PRESENCE: frozenset[Field] = frozenset({
    "minutes", "came", "left", "from", "till", "first_came", "last_left", "attended",
})  # fmt: skip
SEVERAL: frozenset[Field] = frozenset({"mail", "phone", "came", "left", "buttons", "banner", "role", "attended"})
Mappings = Mapping[str, Mapping[Field, str]]
"""Signature of a table's header → field → its column's title."""
_FEWEST_IN_REPEATED = 3


@dataclass(frozen=True)
class Block:
    """Rows of people under one header. ``title``: the line above it; ``rows``: (number, cells, section) of each."""

    table: Table
    columns: Columns
    title: str
    rows: tuple[tuple[int, Row, platforms.Section | None], ...]

    def has_presence(self) -> bool:
        return any(name in self.columns.at for name in PRESENCE)


@dataclass(frozen=True)
class About:
    """What a table tells of its webinar: ``hosts``: mails and names; ``is_from_title``: the day stands in a line of
    words only."""

    title: str = ""
    began: datetime | None = None
    is_from_title: bool = False
    minutes: float | None = None
    hosts: tuple[str, ...] = ()
    day_cells: tuple[Cell, ...] = field(default=())


def unfolded(table: Table) -> Table:
    """A table that Excel has put into one column («Имя,Почта,Минут») is parted again."""
    rows = [row for _, row in table.from_row(0)]
    single = sum(1 for row in rows if sum(1 for cell in row if cells.text(cell)) == 1)
    if not rows or single < len(rows) * 0.9:
        return table
    lines = [next((str(cell) for cell in row if cells.text(cell)), "") for row in table.rows]
    for sign in (";", ",", "\t", "|"):
        if any(_known(next(csv.reader([line], delimiter=sign), [])) for line in lines[:HEADER_WITHIN]):
            parted = tuple(tuple(next(csv.reader([line], delimiter=sign), [])) for line in lines)
            return replace(table, rows=parted)
    return table


def _known(row: Sequence[str]) -> bool:
    fields = {name for title in row for name in heading(title).fields}
    return len(fields) > 1 and bool(fields & WHO)


def blocks(table: Table) -> list[Block]:
    """All blocks of people, from the top."""
    headers = list(islice(_headers(table), MOST_BLOCKS + 1))
    if len(headers) > MOST_BLOCKS:
        raise ExportError(f"{table.where}: заголовков больше {MOST_BLOCKS}, это не похоже на выгрузку участников")
    found = []
    for number, (top, columns) in enumerate(headers):
        before = headers[number - 1][1].header + 1 if number else 0
        end = headers[number + 1][0] if number + 1 < len(headers) else len(table.rows)
        title = _title_above(table, top, before)
        found.append(
            Block(table, columns, title, tuple(_rows(table, columns.header + 1, end, platforms.section(title))))
        )
    return found


def named_block(table: Table, mappings: Mappings) -> Block | None:
    """The rows below a header of which a person has said what its columns are; all other columns are left alone."""
    for number, row in enumerate(table.rows[:HEADER_WITHIN]):
        if named := mappings.get(signature(row)):
            rows = tuple(_rows(table, number + 1, len(table.rows), None))
            return Block(table, named_columns(number, row, named), "", rows)
    return None


def with_answers(block: Block, mappings: Mappings) -> Block:
    """The block of a table that is understood by itself, with what a person has said of some of its columns."""
    row = block.table.rows[block.columns.header]
    if not (named := mappings.get(signature(row))):
        return block
    return replace(block, columns=overridden(block.columns, row, named))


def _headers(table: Table) -> Iterator[tuple[int, Columns]]:
    """(its first row, columns) of each header."""
    current: Columns | None = None
    number = 0
    while number < len(table.rows):
        if current is None and number >= HEADER_WITHIN:
            return
        columns = _header_at(table, number, current)
        if columns:
            current = columns
            yield number, columns
            number = columns.header
        number += 1


def _header_at(table: Table, number: int, current: Columns | None) -> Columns | None:
    row = table.rows[number]
    if _is_data(row):
        return None
    one = _columns_of(number, headings_of(row))
    below = table.rows[number + 1] if number + 1 < len(table.rows) else ()
    if current is None and below and not _is_data(below):
        two = _columns_of(number + 1, _two_rows(row, below))
        single = _columns_of(number + 1, headings_of(below))
        if _is_header(two) and len(two.at) > max(len(one.at), len(single.at)):
            return two if not _is_about(two, row) else None
    if not _is_header(one) or _is_about(one, row):
        return None
    return one if current is None or _is_repeated(one, row, current) else None


def headings_of(row: Sequence[Cell]) -> list[Heading]:
    """The headings of a row; a platform's own columns are what they are on that platform."""
    found = [heading(cells.text(cell)) for cell in row]
    platform = platforms.platform_of([one.title for one in found])
    if platform is None or not platform.columns:
        return found
    return [_on_platform(one, platform) for one in found]


def _on_platform(one: Heading, platform: platforms.Platform) -> Heading:
    for name in names_of(one.title):
        if name in platform.columns:
            return replace(one, fields=platform.columns[name], button="")
    return one


def _is_header(columns: Columns) -> bool:
    return len(columns.at) > 1 and bool(WHO & columns.at.keys())


def _is_repeated(columns: Columns, row: Sequence[Cell], current: Columns) -> bool:
    """Whether a row below the first header is another one: its words may be somebody's role or status."""
    values: set[int] = {
        number for name in ("role", "attended", "buttons", "banner", "banned") for number in current.at.get(name, ())
    }
    known = {number for numbers in columns.at.values() for number in numbers}
    is_same = all(columns.headings.get(number) == current.headings.get(number) for number in known)
    filled = sum(1 for cell in row if cells.text(cell))
    return is_same or (len(known - values) >= _FEWEST_IN_REPEATED and len(known) * 2 >= filled)


def _is_about(columns: Columns, row: Sequence[Cell]) -> bool:
    """Whether these are headings of facts about the webinar, with their values in the next row."""
    known = {normalise(cells.text(cell)).strip(" :.") for cell in row}
    is_of_people = columns.at.keys() & {"came", "left", "first_name", "last_name", "attended", "nick", "role"}
    return not is_of_people and bool(known & platforms.TITLE) and bool(known & platforms.META_ONLY)


def _is_data(row: Sequence[Cell]) -> bool:
    """Whether a row has what no heading has: addresses, numbers, moments."""
    for cell in row:
        if cell is None or cell == "":
            continue
        if not isinstance(cell, str):
            return True
        written = cells.text(cell)
        if "@" in written or re.fullmatch(r"[+\d(][\d\s().,:/+-]{3,}", written):
            return True
    return False


def _two_rows(top: Sequence[Cell], below: Sequence[Cell]) -> list[Heading]:
    """Headings that stand in two rows: «Время» over «входа» and «выхода»; a cell merged downwards is the column's."""
    group, found = "", []
    for number in range(max(len(top), len(below))):
        above = cells.text(top[number]) if number < len(top) else ""
        own = cells.text(below[number]) if number < len(below) else ""
        group = above or group
        alone = heading(own or above)
        sign = ", " if cells.unit_named(own) else " "
        both = heading(f"{group}{sign}{own}") if own and group else alone
        found.append(both if both.fields or both.button else alone)
    return found


def _columns_of(header: int, headings: Sequence[Heading]) -> Columns:
    at: dict[Field, tuple[int, ...]] = {}
    has_last_name = any("last_name" in one.fields for one in headings)
    for number, one in enumerate(headings):
        for name in one.fields:
            told: Field = "name" if name == "first_name" and not has_last_name else name
            at[told] = (*at.get(told, ()), number)
    if "first_name" not in at and "name" in at and len(at["name"]) > 1:
        # «ФИО» beside «Имя»: the fuller one.
        fuller = [number for number in at["name"] if "name" in headings[number].fields]
        at["name"] = tuple(fuller or at["name"])[:1]
    if len(at.get("minutes", ())) > 1:
        at["minutes"] = tuple(sorted(at["minutes"], key=lambda number: _is_bare_length(headings[number])))
    return Columns(header, at, dict(enumerate(headings)))


def _is_bare_length(one: Heading) -> bool:
    """«Длительность» alone may be the webinar's; «Время просмотра» beside it is the person's."""
    plain = normalise(one.title).strip(" :.")
    return re.match(r"(?:длительность|продолжительность|duration)(?![^(]*(?:просмотр|участ|присут))", plain) is not None


def _rows(
    table: Table, start: int, end: int, section: platforms.Section | None
) -> Iterator[tuple[int, Row, platforms.Section | None]]:
    """The rows of people; a line with nothing but a section's title changes what follows."""
    for number, row in table.from_row(start):
        if number >= end:
            return
        told = [cells.text(cell) for cell in row if cells.text(cell)]
        if len(told) == 1 and (named := platforms.section(told[0])):
            section = named
            continue
        yield number, row, section


def _title_above(table: Table, header: int, first: int) -> str:
    """The nearest line above the header that has one cell only; it must stand beside it."""
    for number in range(header - 1, max(first, header - 4) - 1, -1):
        told = [cells.text(cell) for cell in table.rows[number] if cells.text(cell)]
        if len(told) == 1:
            return told[0]
        if told:
            return ""
    return ""


# --- what is told above the people ------------------------------------------------------------------------------------


def about(table: Table, order: Order, zone: tzinfo, year: int | None = None) -> About:
    """The webinar's title, beginning, length and hosts, as the lines above the first header tell them.

    ``year``: of a day in a title that names none.
    """
    first = next((top for top, _ in _headers(table)), min(len(table.rows), HEADER_WITHIN))
    found = About()
    if day := cells.day_in(table.sheet, order, year):
        found = About(began=datetime.combine(day, time()), is_from_title=True)
    lines = table.rows[:first]
    for number, row in enumerate(lines):
        told = [cells.text(cell) for cell in row]
        filled = [one for one in told if one]
        values = list(lines[number + 1]) if number + 1 < len(lines) else []
        if _is_about(Columns(number, {}), row):
            found = _of_pairs(found, zip(told, values, strict=False), order, zone)
        elif len(filled) == 1:
            label, sign, value = filled[0].partition(":")
            if (
                sign
                and value.strip()
                and normalise(label).strip() in platforms.TITLE | platforms.DAY | platforms.LENGTH | platforms.HOSTED_BY
            ):
                found = _of_pairs(found, [(label, value.strip())], order, zone)
            else:
                found = _of_line(found, filled[0], order, year)
        elif filled:
            places = [at for at, one in enumerate(told) if one]
            found = _of_pairs(found, [(told[places[0]], row[places[1]])], order, zone)
    return found


def _of_pairs(found: About, pairs: object, order: Order, zone: tzinfo) -> About:
    for label, value in pairs:  # type: ignore[attr-defined]
        one = heading(label)
        plain = normalise(re.sub(r"[(\[].*?[)\]]", "", label)).strip(" :.,#")
        plain = re.sub(r", ?(?:минут|мин|minutes)$", "", plain)
        written = cells.text(value)
        if not written:
            continue
        if plain in platforms.TITLE and not found.title:
            found = replace(found, title=written[:250])
        elif (plain in platforms.DAY and found.began is None) or (plain in platforms.DAY and found.is_from_title):
            began = _began(value, order, zone)
            found = (
                replace(found, began=began, is_from_title=False, day_cells=(*found.day_cells, value))
                if began
                else found
            )
        elif plain in platforms.LENGTH:
            found = replace(found, minutes=cells.minutes(value, one.unit or "m") or found.minutes)
        elif plain in platforms.HOSTED_BY:
            mails, _ = cells.mails(value)
            names = [re.sub(r"[(<].*", "", written).strip()] if "@" not in written or "(" in written else []
            found = replace(found, hosts=(*found.hosts, *mails, *filter(None, names)))
    return found


def _began(value: Cell, order: Order, zone: tzinfo) -> datetime | None:
    if (told := cells.moment(value, order=order, zone=zone)) is not None:
        return told
    # A period: «13.09.2021 19:00 — 13.09.2021 21:00», «13.09.2021, 19:00–21:00».
    written = cells.text(value)
    begins = re.split(r"\s+[–—-]\s+|\s+(?:до|to|по)\s+", written)[0]
    if (told := cells.moment(begins, order=order, zone=zone)) is not None:
        return told
    day = cells.day_in(written, order)
    return datetime.combine(day, time()) if day else None


def _of_line(found: About, line: str, order: Order, year: int | None) -> About:
    """A title in words: «Вебинар 6 октября 2021, утро»."""
    if platforms.MADE.search(line.casefold()) or platforms.section(line):
        return found
    day = cells.day_in(line, order, year)
    if day and found.began is None:
        found = replace(
            found, began=datetime.combine(day, time()), is_from_title=True, day_cells=(*found.day_cells, line)
        )
    return found


def samples_header(table: Table) -> int:
    """The row whose cells a person is asked about."""
    return header_row(table, HEADER_WITHIN)
