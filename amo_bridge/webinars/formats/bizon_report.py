"""Bizon365's report, a book with the sheets «Сведения», «Зрители», «Уникальные зрители», «Чат».

Seen in one TypeScript project of 2026. «Зрители» has a title in its first row, the header in the second, and some fifty
columns whose order nobody promises. A person may take several rows: those that follow the first have nothing but the
two cells of an interval, which stand under one merged title («Интервалы | присутствия») and hold clock times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from amo_bridge.text.names import normalise
from amo_bridge.webinars import cells
from amo_bridge.webinars.cells import Row
from amo_bridge.webinars.columns import Aliases, Columns, find_columns
from amo_bridge.webinars.exports import Export, ExportError, Interval, Visit
from amo_bridge.webinars.presence import dated
from amo_bridge.webinars.tables import Table

VIEWERS, SUMMARY = "Зрители", "Сведения"
BANNER = "banner"
BUTTON = "button"
COLUMNS: Aliases = {
    "date": ("Дата",),
    "name": ("Имя зрителя", "Имя"),
    "mail": ("E-mail", "Email"),
    "phone": ("Телефон",),
    "ip": ("IP",),
    "came": ("На вебинаре с",),
    "left": ("Досмотрел до",),
    "from": ("Интервалы", "Интервалы присутствия"),
    "till": ("присутствия",),
    "banned": ("Бан",),
    "banner": ("Клик по баннеру",),
    "buttons": ("Клик по кнопке",),
    "city": ("Город",),
}


def is_one(tables: Sequence[Table]) -> bool:
    """A sheet of viewers beside a summary or a chat."""
    names = {normalise(table.sheet) for table in tables}
    return normalise(VIEWERS) in names and len(names) > 1


def read(tables: Sequence[Table]) -> Export:
    """Raises ExportError when the sheet of viewers is not what it is known to be."""
    viewers = _sheet(tables, VIEWERS)
    assert viewers is not None
    columns = find_columns(viewers, COLUMNS, at_least=4)
    if columns is None:
        raise ExportError(f"{viewers.where}: не нашлась строка с заголовками «Имя зрителя», «E-mail», «Телефон»")
    if "from" in columns.at and "till" not in columns.at:
        # The second half of the merged title is empty in some versions.
        columns = Columns(columns.header, {**columns.at, "till": columns.at["from"] + 1})
    title, began = _summary(_sheet(tables, SUMMARY))
    visits = tuple(_visit(viewers, columns, rows, began) for rows in _people(viewers, columns))
    return Export(
        source="отчёт Бизон365 (Excel)",
        visits=visits,
        title=title,
        held_on=began.date() if began else None,
        knows_buttons="buttons" in columns.at or "banner" in columns.at,
    )


def _sheet(tables: Sequence[Table], name: str) -> Table | None:
    return next((table for table in tables if normalise(table.sheet) == normalise(name)), None)


def _summary(sheet: Table | None) -> tuple[str, datetime | None]:
    """The webinar's title and when it began."""
    title, began = "", None
    for number, row in enumerate(sheet.rows if sheet else ()):
        label = cells.text(row[0]) if row else ""
        if number == 1:
            title = label
        if normalise(label).startswith("начало") and len(row) > 1:
            began = cells.moment(row[1])
    return title, began


def _people(viewers: Table, columns: Columns) -> Iterator[list[tuple[int, Row]]]:
    """The rows of each person: one that names him and those that only go on with his intervals."""
    current: list[tuple[int, Row]] = []
    for number, row in viewers.from_row(columns.header + 1):
        goes_on = all(cells.text(columns.cell(row, field)) == "" for field in ("name", "mail", "phone", "date"))
        if not goes_on and current:
            yield current
            current = []
        current.append((number, row))
    if current:
        yield current


def _visit(viewers: Table, columns: Columns, rows: list[tuple[int, Row]], began: datetime | None) -> Visit:
    number, first = rows[0]
    day = cells.moment(columns.cell(first, "date")) or began
    phones, unreadable = cells.phones(columns.cell(first, "phone"))
    written = columns.cell(first, "mail")
    mails = cells.mails(written)
    return Visit(
        name=cells.name(columns.cell(first, "name")),
        place=viewers.place(number),
        mails=mails,
        phones=phones,
        unreadable=unreadable,
        odd=cells.odd(mail=(written, mails)),
        intervals=_intervals(viewers, columns, rows, day),
        buttons=_clicked(columns, first),
        came_on=day.date() if day else None,
        is_banned=cells.is_yes(columns.cell(first, "banned")),
        ip=cells.text(columns.cell(first, "ip")),
        city=cells.text(columns.cell(first, "city")),
    )


def _intervals(
    viewers: Table, columns: Columns, rows: list[tuple[int, Row]], day: datetime | None
) -> tuple[Interval, ...]:
    """Clock times, in their order: what is earlier than the one before is of the next day. Whoever has no intervals is
    taken to have been there from his coming to his leaving."""
    if day is None:
        raise ExportError(f"{viewers.place(rows[0][0])}: нет даты вебинара ни в строке, ни на листе «{SUMMARY}»")
    pairs = [("from", "till")] if columns.has("from", "till") else []
    told = [
        (start, end)
        for _, row in rows
        for begin, finish in pairs
        if (start := cells.clock(columns.cell(row, begin))) and (end := cells.clock(columns.cell(row, finish)))  # type: ignore[arg-type]
    ]
    if not told:
        came, left = cells.clock(columns.cell(rows[0][1], "came")), cells.clock(columns.cell(rows[0][1], "left"))
        told = [(came, left)] if came and left else []
    found: list[Interval] = []
    # People come before the beginning: only an earlier interval of the same person says that midnight has passed.
    reached = datetime.combine(day.date(), datetime.min.time())
    for start, end in told:
        interval = dated(start, end, reached)
        found.append(interval)
        reached = interval[0]
    return tuple(found)


def _clicked(columns: Columns, row: Row) -> tuple[str, ...]:
    """Nobody has seen what «Клик по кнопке» may hold: a mark or a number says that a button was clicked, anything else
    is taken for its name."""
    banner, button = columns.cell(row, "banner"), columns.cell(row, "buttons")
    clicked = [BANNER] if cells.is_yes(banner) else []
    for label in cells.labels(button):
        clicked.append(BUTTON if label in ("+", "да") or label.isdigit() else label)
    return tuple(clicked)
