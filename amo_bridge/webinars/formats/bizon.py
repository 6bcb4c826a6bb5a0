"""Bizon365's report, a book with the sheets «Сведения», «Зрители», «Уникальные зрители», «Чат».

Seen in one TypeScript project of 2026. «Зрители» has a title in its first row, the header in the second, and some fifty
columns whose order nobody promises. A person may take several rows: those that follow the first have nothing but the
two cells of an interval, which stand under one merged title («Интервалы | присутствия») and hold clock times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from amo_bridge.text.names import normalise
from amo_bridge.webinars.formats import tables
from amo_bridge.webinars.formats.model import Export, ExportError, Interval, Visit
from amo_bridge.webinars.formats.tables import Aliases, Columns, Row, Table, find_columns

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


def is_report(tables: Sequence[Table]) -> bool:
    """A sheet of viewers beside a summary or a chat."""
    names = {normalise(table.sheet) for table in tables}
    return normalise(VIEWERS) in names and len(names) > 1


def read_report(tables: Sequence[Table]) -> Export:
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
    visits = tuple(_visit_of_report(viewers, columns, rows, began) for rows in _people(viewers, columns))
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
        label = tables.text(row[0]) if row else ""
        if number == 1:
            title = label
        if normalise(label).startswith("начало") and len(row) > 1:
            began = tables.moment(row[1])
    return title, began


def _people(viewers: Table, columns: Columns) -> Iterator[list[tuple[int, Row]]]:
    """The rows of each person: one that names him and those that only go on with his intervals."""
    current: list[tuple[int, Row]] = []
    for number, row in viewers.from_row(columns.header + 1):
        goes_on = all(tables.text(columns.cell(row, field)) == "" for field in ("name", "mail", "phone", "date"))
        if not goes_on and current:
            yield current
            current = []
        current.append((number, row))
    if current:
        yield current


def _visit_of_report(viewers: Table, columns: Columns, rows: list[tuple[int, Row]], began: datetime | None) -> Visit:
    number, first = rows[0]
    day = tables.moment(columns.cell(first, "date")) or began
    phones, unreadable = tables.phones(columns.cell(first, "phone"))
    written = columns.cell(first, "mail")
    mails = tables.mails(written)
    return Visit(
        name=tables.name(columns.cell(first, "name")),
        place=viewers.place(number),
        mails=mails,
        phones=phones,
        unreadable=unreadable,
        odd=tables.odd(mail=(written, mails)),
        intervals=_intervals(viewers, columns, rows, day),
        buttons=_clicked_in_report(columns, first),
        came_on=day.date() if day else None,
        is_banned=tables.is_yes(columns.cell(first, "banned")),
        ip=tables.text(columns.cell(first, "ip")),
        city=tables.text(columns.cell(first, "city")),
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
        if (start := tables.clock(columns.cell(row, begin))) and (end := tables.clock(columns.cell(row, finish)))  # type: ignore[arg-type]
    ]
    if not told:
        came, left = tables.clock(columns.cell(rows[0][1], "came")), tables.clock(columns.cell(rows[0][1], "left"))
        told = [(came, left)] if came and left else []
    found: list[Interval] = []
    # People come before the beginning: only an earlier interval of the same person says that midnight has passed.
    reached = datetime.combine(day.date(), datetime.min.time())
    for start, end in told:
        interval = _dated(start, end, reached)
        found.append(interval)
        reached = interval[0]
    return tuple(found)


def _dated(start: time, end: time, not_before: datetime) -> Interval:
    """An interval told by clock times alone: the first such time at or after ``not_before``; what ends "earlier" than
    it began ends on the next day."""
    begin = datetime.combine(not_before.date(), start)
    if begin < not_before:
        begin += timedelta(days=1)
    finish = datetime.combine(begin.date(), end)
    return begin, finish if finish >= begin else finish + timedelta(days=1)


def _clicked_in_report(columns: Columns, row: Row) -> tuple[str, ...]:
    """Nobody has seen what «Клик по кнопке» may hold: a mark or a number says that a button was clicked, anything else
    is taken for its name."""
    banner, button = columns.cell(row, "banner"), columns.cell(row, "buttons")
    clicked = [BANNER] if tables.is_yes(banner) else []
    for label in tables.labels(button):
        clicked.append(BUTTON if label in ("+", "да") or label.isdigit() else label)
    return tuple(clicked)


# Bizon365's list of viewers, as its API gives it (``GET webinars/reports/getviewers``), saved as JSON.
#
# Seen in the fixtures of slavkluev/bizon365-api-php and in several importers: of a viewer only ``view``, ``viewTill``
# and ``webinarId`` can be relied on; booleans come as true or 1 and are absent when false; buttons and banners are
# lists of ids. ``webinarId`` ends with the beginning in the room's own time zone («12345:web*2021-09-13T19:00:00»).

ABOUT_SPAN = (
    "Бизон365 в этом списке считает время от прихода до ухода: перерывы из него не вычесть, в Excel-отчёте они есть"
)


def is_viewers(told: Any) -> bool:
    """An object with a list of viewers, or several of them (pages of the list)."""
    pages = told if isinstance(told, list) else [told]
    return bool(pages) and all(isinstance(page, dict) and isinstance(page.get("viewers"), list) for page in pages)


def read_viewers(name: str, told: Any, zone: tzinfo) -> Export:
    """``zone``: on whose wall clock the webinar was. Raises ExportError."""
    viewers = [row for page in (told if isinstance(told, list) else [told]) for row in page["viewers"]]
    visits = tuple(
        _visit_of_viewer(f"{name}, зритель {number}", row, zone) for number, row in enumerate(viewers, start=1)
    )
    return Export(source="список зрителей Бизон365 (JSON)", visits=visits, remarks=(ABOUT_SPAN,))


def _visit_of_viewer(place: str, row: Any, zone: tzinfo) -> Visit:
    if not isinstance(row, Mapping):
        raise ExportError(f"{place}: вместо зрителя что-то другое")
    phones, unreadable = tables.phones(_text(row, "phone"))
    mails = tables.mails(_text(row, "email"))
    stay = _stay(place, row, zone)
    return Visit(
        name=tables.name(_text(row, "username")),
        place=place,
        mails=mails,
        phones=phones,
        unreadable=unreadable,
        odd=tables.odd(mail=(_text(row, "email"), mails)),
        intervals=stay,
        buttons=_clicked_by_viewer(row),
        came_on=_held_on(_text(row, "webinarId")) or (stay[0][0].date() if stay else None),
        ip=_text(row, "ip"),
        city=_text(row, "city"),
    )


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None or isinstance(value, dict | list) else tables.text(value)


def _stay(place: str, row: Mapping[str, Any], zone: tzinfo) -> tuple[Interval, ...]:
    came, left = (_moment(place, row.get(key), zone) for key in ("view", "viewTill"))
    return ((came, left),) if came and left and left >= came else ()


def _moment(place: str, milliseconds: Any, zone: tzinfo) -> datetime | None:
    if milliseconds in (None, "", 0):
        return None
    try:
        return datetime.fromtimestamp(float(milliseconds) / 1000, UTC).astimezone(zone).replace(tzinfo=None)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise ExportError(f"{place}: время «{str(milliseconds)[:40]}» не читается") from error


def _held_on(webinar_id: str) -> date | None:
    moment = tables.moment(webinar_id.partition("*")[2])
    return moment.date() if moment else None


def _clicked_by_viewer(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Any banner is the banner; buttons are told apart by their ids."""
    buttons = list(_ids(row.get("buttons")))
    if not buttons and row.get("clickFile"):
        buttons = [BUTTON]
    has_banner = bool(row.get("clickBanner")) or any(_ids(row.get("banners")))
    return tuple(dict.fromkeys([*([BANNER] if has_banner else []), *buttons]))


def _ids(items: Any) -> Iterable[str]:
    for item in items if isinstance(items, list) else ():
        label = item.get("id") if isinstance(item, Mapping) else item
        if label not in (None, ""):
            yield tables.text(label)
