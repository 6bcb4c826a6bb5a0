"""Any other table: one row a person, columns by their usual names or as somebody named them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from amo_bridge.webinars.formats import tables
from amo_bridge.webinars.formats.bizon import BANNER
from amo_bridge.webinars.formats.guards import check_people
from amo_bridge.webinars.formats.model import ColumnsUnknown, Export, Interval, Visit
from amo_bridge.webinars.formats.tables import (
    Aliases,
    Columns,
    Field,
    Row,
    Table,
    find_columns,
    header_row,
    named_columns,
    signature,
)

COLUMNS: Aliases = {
    "name": ("Имя", "ФИО", "Имя и фамилия", "Участник", "Клиент", "Имя участника", "Name", "Full name"),
    "mail": ("Почта", "E-mail", "Email", "Эл. почта", "Электронная почта", "Mail"),
    "phone": ("Телефон", "Номер телефона", "Тел", "Мобильный", "Phone", "Phone number"),
    "minutes": ("Минут", "Минуты", "Время на вебинаре", "Минут на вебинаре", "Длительность", "Minutes", "Duration"),
    "came": ("Пришёл", "Вход", "Время входа", "Join time"),
    "left": ("Ушёл", "Выход", "Время выхода", "Leave time"),
    "buttons": ("Кнопки", "Нажатые кнопки", "Кнопка", "Клики", "Buttons"),
    "banner": ("Баннер", "Клик по баннеру", "Banner"),
    "banned": ("Бан", "Забанен"),
    "date": ("Дата", "Дата вебинара", "Date"),
    "ip": ("IP",),
    "city": ("Город", "City"),
}
SAMPLES, LONGEST_SAMPLE = 3, 40
Mappings = Mapping[str, Mapping[Field, str]]
"""Signature of a table's header → field → its column's title."""


def read(tables: Sequence[Table], mappings: Mappings, *, day_first: bool = True) -> Export:
    """The first table with people in it. Raises ColumnsUnknown when a person must say which column is what."""
    for table in tables:
        if columns := _columns(table, mappings):
            visits = tuple(
                _visit(table, columns, number, row, day_first) for number, row in table.from_row(columns.header + 1)
            )
            return Export(
                source="таблица", visits=visits, remarks=_remarks(columns), knows_buttons=_has_buttons(columns)
            )
    check_people(tables)
    raise _unknown(next((table for table in tables if table.rows), tables[0]))


def _columns(table: Table, mappings: Mappings) -> Columns | None:
    at = header_row(table)
    if table.rows and (named := mappings.get(signature(table.rows[at]))):
        return named_columns(at, table.rows[at], named)
    found = find_columns(table, COLUMNS)
    is_enough = (
        found and (found.has("mail") or found.has("phone")) and (found.has("minutes") or found.has("came", "left"))
    )
    return found if is_enough else None


def _unknown(table: Table) -> ColumnsUnknown:
    at = header_row(table)
    header = table.rows[at] if table.rows else ()
    titled = [number for number, cell in enumerate(header) if tables.text(cell)]
    headers = tuple(tables.text(header[number]) for number in titled)
    samples = [
        [tables.text(row[number]) if number < len(row) else "" for number in titled] for row in _first(table, at)
    ]
    return ColumnsUnknown(
        f"{table.where}: непонятно, где почта или телефон и где минуты. Скажите, какой столбец что значит; "
        f"столбцы: {', '.join(f'«{title}»' for title in headers) or 'нет'}",
        headers,
        signature(header),
        tuple(tuple(told[:LONGEST_SAMPLE] for told in row) for row in samples),
    )


def _first(table: Table, header: int) -> list[Row]:
    return [row for _, row in islice(table.from_row(header + 1), SAMPLES)]


def _remarks(columns: Columns) -> tuple[str, ...]:
    return () if _has_buttons(columns) else ("В таблице нет столбца с нажатыми кнопками",)


def _has_buttons(columns: Columns) -> bool:
    return "buttons" in columns.at or "banner" in columns.at


def _visit(table: Table, columns: Columns, number: int, row: Row, day_first: bool) -> Visit:
    phones, unreadable = tables.phones(columns.cell(row, "phone"))
    stay = _stay(columns, row, day_first)
    written, told_minutes, told_mails = (columns.cell(row, field) for field in ("date", "minutes", "mail"))
    named = tables.moment(written, day_first=day_first)
    day = named or (stay[0][0] if stay else None)
    minutes, mails = tables.minutes(told_minutes), tables.mails(told_mails)
    banner = (BANNER,) if tables.is_yes(columns.cell(row, "banner")) else ()
    return Visit(
        name=tables.name(columns.cell(row, "name")),
        place=table.place(number),
        mails=mails,
        phones=phones,
        unreadable=unreadable,
        odd=tables.odd(mail=(told_mails, mails), minutes=(told_minutes, minutes), date=(written, named)),
        intervals=stay,
        minutes=minutes,
        buttons=tuple(dict.fromkeys((*banner, *tables.labels(columns.cell(row, "buttons"))))),
        came_on=day.date() if day else None,
        is_banned=tables.is_yes(columns.cell(row, "banned")),
        ip=tables.text(columns.cell(row, "ip")),
        city=tables.text(columns.cell(row, "city")),
    )


def _stay(columns: Columns, row: Row, day_first: bool) -> tuple[Interval, ...]:
    came = tables.moment(columns.cell(row, "came"), day_first=day_first)
    left = tables.moment(columns.cell(row, "left"), day_first=day_first)
    return ((came, left),) if came and left and left >= came else ()
