"""Reads a book (XLSX, XLS, ODS) or a text on stdin, writes its tables as JSON: run as a process of its own.

A small file may ask for any amount of memory: one cell in the last corner of a sheet, a million cells with one long
text, a row repeated a million times. The library allocates what the file says. So the reading is done where it can
only harm itself: ``readers.py`` starts this with a limit of memory and of time.
"""

from __future__ import annotations

import io
import json
import sys
from datetime import date, datetime, time, timedelta
from typing import Any, NoReturn

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from amo_bridge.webinars.formats.model import ExportError
from amo_bridge.webinars.formats.texts import rows_of

MEMORY = 2 * 1024**3
SECONDS = 50
MOST_CELLS = 3_000_000
NOT_A_BOOK, TOO_MANY, REFUSED = 3, 4, 5
BOOK, TEXT = "book", "text"


def told(cell: Any) -> Any:
    """A cell as JSON: dates and times are objects with one key, their kind."""
    if isinstance(cell, datetime):
        return {"datetime": cell.isoformat()}
    if isinstance(cell, date):
        return {"date": cell.isoformat()}
    if isinstance(cell, time):
        return {"time": cell.isoformat()}
    if isinstance(cell, timedelta):
        return {"seconds": cell.total_seconds()}
    return cell


def understood(cell: Any) -> Any:
    """The cell that ``told`` told of."""
    if not isinstance(cell, dict):
        return cell
    ((kind, value),) = cell.items()
    if kind == "datetime":
        return datetime.fromisoformat(value)
    if kind == "date":
        return date.fromisoformat(value)
    return time.fromisoformat(value) if kind == "time" else timedelta(seconds=value)


def sheets(content: bytes, most_rows: int) -> list[dict[str, Any]]:
    """Every sheet's name and rows. Raises OverflowError when there are too many."""
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    found = []
    left = MOST_CELLS
    for about in book.sheets_metadata:
        if about.typ not in (SheetTypeEnum.WorkSheet, SheetTypeEnum.Vba):
            continue
        name = about.name
        sheet = book.get_sheet_by_name(name)
        left -= sheet.total_height * sheet.total_width
        if sheet.total_height > most_rows or left < 0:
            raise OverflowError(name)
        rows = [[told(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
        found.append({"name": name, "rows": rows, "hidden": about.visible != SheetVisibleEnum.Visible})
    return found


def main() -> None:
    """Exit codes: 0 read, NOT_A_BOOK, TOO_MANY, REFUSED (stderr says why); anything else is a death by the limits."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most_rows, kind, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    content = sys.stdin.buffer.read()
    try:
        if kind == TEXT:
            found = [{"name": "", "rows": rows_of(name, content, most_rows), "hidden": False}]
        else:
            found = sheets(content, most_rows)
    except OverflowError as error:
        _end(TOO_MANY, error)
    except CalamineError as error:
        _end(NOT_A_BOOK, error)
    except ExportError as error:
        _end(REFUSED, error)
    sys.stdout.write(json.dumps(found))


def _end(code: int, error: Exception) -> NoReturn:
    sys.stderr.buffer.write(str(error).encode("utf-8", "replace"))
    sys.exit(code)
