"""Books (XLSX, XLS, ODS) and text files → tables, read in a process of their own with limits of memory and time."""

from __future__ import annotations

import json
import subprocess
import sys

from amo_bridge.webinars.formats import guards
from amo_bridge.webinars.formats.guards import check_archive, check_cell
from amo_bridge.webinars.formats.model import ExportError
from amo_bridge.webinars.formats.spreadsheet_process import BOOK, NOT_A_BOOK, REFUSED, TEXT, TOO_MANY, understood
from amo_bridge.webinars.formats.tables import Table

ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
TIMEOUT_SECONDS = 60
_START = "from amo_bridge.webinars.formats.spreadsheet_process import main; main()"


def is_book(content: bytes) -> bool:
    """By its first bytes: what the file is called says nothing."""
    return content.startswith((ZIP, OLE))


def read_book(name: str, content: bytes) -> list[Table]:
    """The sheets of a book. Raises ExportError."""
    if content.startswith(ZIP):
        check_archive(name, content)
    tables = _read(name, content, BOOK)
    for table in tables:
        for number, row in enumerate(table.rows):
            for cell in row:
                if isinstance(cell, str):
                    check_cell(table.place(number), cell)
    return tables


def read_text(name: str, content: bytes) -> Table:
    """The lines of a text file with separators. Raises ExportError."""
    return _read(name, content, TEXT)[0]


def _read(name: str, content: bytes, kind: str) -> list[Table]:
    command = [sys.executable, "-c", _START, str(guards.MOST_ROWS), kind, name]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"{name}: файл не прочитался за {TIMEOUT_SECONDS} с, сохраните его как CSV") from error
    told = done.stderr.decode("utf-8", "replace")
    if done.returncode == REFUSED:
        raise ExportError(told)
    if done.returncode == TOO_MANY:
        raise ExportError(
            f"{name}, лист «{told}»: слишком много строк или ячеек, принимается до {guards.MOST_ROWS} строк"
        )
    if done.returncode == NOT_A_BOOK:
        raise ExportError(f"{name}: это не книга Excel или она повреждена; сохраните её ещё раз как XLSX или CSV")
    if done.returncode:
        raise ExportError(f"{name}: на файл не хватило отведённой памяти, это не похоже на выгрузку участников")
    return [
        Table(name, sheet["name"], tuple(tuple(map(understood, row)) for row in sheet["rows"]), sheet["hidden"])
        for sheet in json.loads(done.stdout)
    ]
