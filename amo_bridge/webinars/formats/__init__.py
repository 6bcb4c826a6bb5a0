"""The kinds of files that are understood, one file each. All have the same two words: is it one, and read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Any

from amo_bridge.webinars.formats import bizon, generic, mts_link, zoom
from amo_bridge.webinars.formats.generic import Mappings
from amo_bridge.webinars.formats.guards import check_bytes, check_rows, check_size
from amo_bridge.webinars.formats.model import Export, ExportError
from amo_bridge.webinars.formats.readers import check_cells, decoded, is_book, read_book, read_text
from amo_bridge.webinars.formats.tables import Table

# A file → an export, by what is in it; what it is called says nothing.

NO_MAPPINGS: Mappings = {}


def read_export(
    name: str,
    content: bytes,
    *,
    zone: tzinfo = UTC,
    day_first: bool = False,
    mappings: Mappings = NO_MAPPINGS,
) -> Export:
    """What the file says.

    ``zone``: the webinar's wall clock, for formats that tell moments. ``day_first``: how the Zoom account writes
    dates (usually the month first). ``mappings``: columns as people named them before. Raises ExportError,
    ColumnsUnknown.
    """
    check_size(name, content)
    check_bytes(name, content)
    if is_book(content):
        tables = read_book(name, content)
        for table in tables:
            check_cells(table)
        export = _of_tables(tables, day_first, mappings)
    elif content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        export = _of_json(name, content, zone)
    else:
        export = _of_tables([read_text(name, content)], day_first, mappings)
    check_rows(name, len(export.visits))
    if not export.visits:
        raise ExportError(f"{name}: {export.source}, но ни одного участника в нём нет")
    return _with_oddities(export)


def _with_oddities(export: Export) -> Export:
    """Says how many rows hold what can't be read; which they are is said of each person."""
    count = sum(1 for visit in export.visits if visit.odd or visit.unreadable)
    remarks = (f"Строк, где что-то не читается: {count}; у кого и что, сказано в таблице",) if count else ()
    return replace(export, remarks=(*export.remarks, *remarks))


def _of_tables(tables: list[Table], day_first: bool, mappings: Mappings) -> Export:
    if bizon.is_report(tables):
        return bizon.read_report(tables)
    for table in tables:
        if zoom.is_one(table):
            return zoom.read(table, day_first=day_first)
    return generic.read(tables, mappings)


def _of_json(name: str, content: bytes, zone: tzinfo) -> Export:
    told = _parsed(name, decoded(name, content))
    if bizon.is_viewers(told):
        return bizon.read_viewers(name, told, zone)
    if mts_link.is_one(told):
        return mts_link.read(name, told)
    if isinstance(told, Mapping) and ("list" in told or "report" in told):
        raise ExportError(
            f"{name}: это список вебинаров или отчёт Бизон365 без зрителей; нужен ответ webinars/reports/getviewers "
            "или Excel-отчёт"
        )
    raise ExportError(f"{name}: JSON незнакомого вида; понятны списки зрителей Бизон365 и статистика МТС Линк")


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ExportError(f"{name}: JSON вложен слишком глубоко, это не выгрузка участников") from error
    except ValueError as error:
        raise ExportError(f"{name}: JSON не читается ({error}); выгрузите файл ещё раз") from error
