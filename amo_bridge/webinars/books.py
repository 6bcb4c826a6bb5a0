"""Books (XLSX, XLS, ODS) → tables. What a book says is not trusted: see limits.py and book_reader.py."""

from __future__ import annotations

import json
import subprocess
import sys

from amo_bridge.webinars.book_reader import NOT_A_BOOK, TOO_MANY, understood
from amo_bridge.webinars.exports import ExportError
from amo_bridge.webinars.limits import MOST_ROWS, check_archive, check_cell
from amo_bridge.webinars.tables import Table

ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PATIENCE = 60


def is_book(content: bytes) -> bool:
    """By its first bytes: what the file is called says nothing."""
    return content.startswith((ZIP, OLE))


def read_book(name: str, content: bytes) -> list[Table]:
    """The sheets of a book. Raises ExportError."""
    if content.startswith(ZIP):
        check_archive(name, content)
    command = [sys.executable, "-m", "amo_bridge.webinars.book_reader", str(MOST_ROWS)]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"{name}: книга не прочиталась за {PATIENCE} с, сохраните её как CSV") from error
    if done.returncode == TOO_MANY:
        sheet = done.stderr.decode("utf-8", "replace")
        raise ExportError(f"{name}, лист «{sheet}»: слишком много строк или ячеек, принимается до {MOST_ROWS} строк")
    if done.returncode == NOT_A_BOOK:
        raise ExportError(f"{name}: это не книга Excel или она повреждена; сохраните её ещё раз как XLSX или CSV")
    if done.returncode:
        raise ExportError(f"{name}: на книгу не хватило отведённой памяти, это не похоже на выгрузку участников")
    return [
        Table(name, sheet["name"], tuple(tuple(map(understood, row)) for row in sheet["rows"]))
        for sheet in json.loads(done.stdout)
    ]


def check_cells(table: Table) -> None:
    """Raises ExportError for a cell that no export of people has."""
    for number, row in enumerate(table.rows):
        for cell in row:
            if isinstance(cell, str):
                check_cell(table.place(number), cell)
