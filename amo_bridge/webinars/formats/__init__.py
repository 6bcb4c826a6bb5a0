"""The kinds of files that are understood, one file each. All have the same two words: is it one, and read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, tzinfo
from typing import Any

from amo_bridge.webinars.formats import bizon, mts_link, table_reader
from amo_bridge.webinars.formats.blocks import Mappings
from amo_bridge.webinars.formats.guards import MOST_ROWS, check_bytes, check_rows, check_size
from amo_bridge.webinars.formats.model import Export, ExportError
from amo_bridge.webinars.formats.readers import is_book, read_book, read_text
from amo_bridge.webinars.formats.table_rows import ReadOptions
from amo_bridge.webinars.formats.tables import Table
from amo_bridge.webinars.formats.texts import decoded

# A file → an export, by what is in it; what it is called says nothing.

NO_MAPPINGS: Mappings = {}


def read_export(
    name: str,
    content: bytes,
    *,
    zone: tzinfo = UTC,
    day_first: bool = False,
    mappings: Mappings = NO_MAPPINGS,
    held_on: date | None = None,
) -> Export:
    """What the file says.

    ``zone``: the webinar's wall clock, for formats that tell moments. ``day_first``: how the Zoom account writes
    dates (usually the month first). ``mappings``: columns as people named them before. ``held_on``: the webinar's day,
    as a person told it. Raises ExportError, ColumnsUnknown.
    """
    check_size(name, content)
    check_bytes(name, content)
    options = ReadOptions(
        zone=zone, zoom_order="day first" if day_first else "month first", mappings=mappings, held_on=held_on
    )
    if is_book(content):
        export = _of_tables(read_book(name, content), options)
    elif content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        export = _of_json(name, content, zone)
    else:
        export = _of_tables([read_text(name, content)], options)
    check_rows(name, len(export.visits), MOST_ROWS)
    if not export.visits:
        raise ExportError(f"{name}: {export.source}, но ни одного участника в нём нет")
    return _with_oddities(export)


def _with_oddities(export: Export) -> Export:
    """Says how many rows hold what can't be read; which they are is said of each person."""
    count = sum(1 for visit in export.visits if visit.odd or visit.unreadable)
    remarks = (f"Строк, где что-то не читается: {count}; у кого и что, сказано в таблице",) if count else ()
    return replace(export, remarks=(*export.remarks, *remarks))


def _of_tables(tables: list[Table], options: ReadOptions) -> Export:
    if bizon.is_report(tables):
        return bizon.read_report(tables, options)
    return table_reader.read(tables, options)


def _of_json(name: str, content: bytes, zone: tzinfo) -> Export:
    told = _parsed(name, decoded(name, content))
    if bizon.is_viewers(told):
        return bizon.read_viewers(name, told, zone)
    if mts_link.is_one(told):
        return mts_link.read(name, told, zone)
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
