"""Reads a book (XLSX, XLS, ODS) on stdin, writes its sheets as JSON: run as a process of its own.

A small file may ask for any amount of memory: one cell in the last corner of a sheet, a million cells with one long
text, a row repeated a million times. The library allocates what the file says. So the reading is done where it can
only harm itself: ``books.py`` starts this with a limit of memory and of time.
"""

from __future__ import annotations

import io
import json
import sys
from datetime import date, datetime, time, timedelta
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

MEMORY = 2 * 1024**3
MOST_CELLS = 3_000_000
NOT_A_BOOK, TOO_MANY = 3, 4


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
    for name in book.sheet_names:
        sheet = book.get_sheet_by_name(name)
        left -= sheet.total_height * sheet.total_width
        if sheet.total_height > most_rows or left < 0:
            raise OverflowError(name)
        rows = [[told(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
        found.append({"name": name, "rows": rows})
    return found


def main() -> None:
    """Exit codes: 0 read, NOT_A_BOOK, TOO_MANY; anything else is a death by the limits."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        found = sheets(sys.stdin.buffer.read(), int(sys.argv[1]))
    except OverflowError as error:
        sys.stderr.write(str(error))
        sys.exit(TOO_MANY)
    except CalamineError as error:
        sys.stderr.write(str(error))
        sys.exit(NOT_A_BOOK)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
