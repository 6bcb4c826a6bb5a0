"""Zoom's reports: a webinar's «Attendee Report» and a meeting's list of participants.

Seen in two Streamlit tools and a JS parser (2026): a block about the webinar, then sections with a line of their own as
their title («Attendee Details») and each its own header; a person who came twice has two rows; «--» is empty. Of clicks
Zoom knows nothing.
"""

from __future__ import annotations

from datetime import datetime

from amo_bridge.text.names import normalise
from amo_bridge.webinars.formats import tables
from amo_bridge.webinars.formats.model import Export, ExportError, Visit
from amo_bridge.webinars.formats.tables import Aliases, Columns, Row, Table, find_columns, titles

ATTENDEES = "attendee details"
SECTIONS = (ATTENDEES, "host details", "panelist details")
COLUMNS: Aliases = {
    "attended": ("Attended",),
    "name": ("User Name (Original Name)", "Name (Original Name)", "Name (original name)"),
    "mail": ("Email", "User Email"),
    "phone": ("Phone", "Phone Number"),
    "came": ("Join Time",),
    "left": ("Leave Time",),
    "minutes": ("Time in Session (minutes)", "Duration (Minutes)", "Total Duration (Minutes)"),
}
NO_CLICKS = "Zoom не знает о нажатых кнопках: «активных» по этому файлу не будет"


def is_one(table: Table) -> bool:
    """Its own words for a person's coming and leaving."""
    return _start(table) is not None or _plain(table) is not None


def read(table: Table, *, day_first: bool) -> Export:
    """``day_first``: how the account writes dates. Raises ExportError."""
    columns = find_columns(table, COLUMNS, start=_start(table) or 0, at_least=4)
    if columns is None:
        raise ExportError(f"{table.where}: в отчёте Zoom нет раздела «Attendee Details» с заголовками")
    visits, absent = [], 0
    for number, row in table.from_row(columns.header + 1):
        if _title(row) in SECTIONS:
            break
        if tables.text(columns.cell(row, "attended")).casefold() == "no":
            absent += 1
        else:
            visits.append(_visit(table, columns, number, row, day_first))
    remarks = (NO_CLICKS, *([f"Записались и не пришли: {absent}"] if absent else []))
    topic, began = _about(table, columns.header, day_first)
    held_on = began.date() if began else next((visit.came_on for visit in visits if visit.came_on), None)
    return Export(
        source="отчёт Zoom", visits=tuple(visits), title=topic, held_on=held_on, remarks=remarks, knows_buttons=False
    )


def _start(table: Table) -> int | None:
    return next((number for number, row in table.from_row(0) if _title(row) == ATTENDEES), None)


def _plain(table: Table) -> Columns | None:
    columns = find_columns(table, COLUMNS, at_least=4)
    return columns if columns and columns.has("name", "mail", "came", "left") else None


def _title(row: Row) -> str:
    """The row's only words, if it has no more than one cell of them."""
    told = [tables.text(cell) for cell in row if tables.text(cell)]
    return normalise(told[0]) if len(told) == 1 else ""


def _about(table: Table, before: int, day_first: bool) -> tuple[str, datetime | None]:
    """The topic and the beginning, from the block above the people."""
    for number in range(before - 1):
        header = titles(table.rows[number])
        values = table.rows[number + 1]
        if "topic" not in header:
            continue
        told = dict(zip(header, values, strict=False))
        began = told.get("actual start time") or told.get("start time")
        return tables.text(told["topic"]), tables.moment(began, day_first=day_first)
    return "", None


def _visit(table: Table, columns: Columns, number: int, row: Row, day_first: bool) -> Visit:
    came, left = (tables.moment(columns.cell(row, field), day_first=day_first) for field in ("came", "left"))
    phones, unreadable = tables.phones(columns.cell(row, "phone"))
    told_minutes, told_mails = (columns.cell(row, field) for field in ("minutes", "mail"))
    minutes, mails = tables.minutes(told_minutes), tables.mails(told_mails)
    return Visit(
        name=tables.name(columns.cell(row, "name")),
        place=table.place(number),
        mails=mails,
        phones=phones,
        unreadable=unreadable,
        odd=tables.odd(mail=(told_mails, mails), minutes=(told_minutes, minutes)),
        intervals=((came, left),) if came and left and left >= came else (),
        minutes=minutes,
        came_on=came.date() if came else None,
    )
