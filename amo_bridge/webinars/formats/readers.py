"""Books (XLSX, XLS, ODS) → tables. What a book says is not trusted: see limits.py and book_reader.py."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

from charset_normalizer import from_bytes

from amo_bridge.webinars.formats.guards import (
    LONGEST_CELL,
    MOST_ROWS,
    check_archive,
    check_cell,
    check_rows,
    check_text,
    not_a_text,
)
from amo_bridge.webinars.formats.model import ExportError
from amo_bridge.webinars.formats.spreadsheet_process import NOT_A_BOOK, TOO_MANY, understood
from amo_bridge.webinars.formats.tables import Table

ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PATIENCE = 60


def is_book(content: bytes) -> bool:
    """By its first bytes: what the file is called says nothing."""
    return content.startswith((ZIP, OLE))


def read_book(name: str, content: bytes) -> list[Table]:
    """The sheets of a book. Raises ExportError."""
    if content.startswith(ZIP):
        check_archive(name, content)
    command = [sys.executable, "-m", "amo_bridge.webinars.formats.spreadsheet_process", str(MOST_ROWS)]
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


# Text files → a table: which encoding, which separator.

SEPARATORS = ";,\t"
# Free detection takes Russian texts for languages nobody here exports in.
ENCODINGS = ["utf_8", "cp1251", "koi8_r", "cp866", "utf_16"]
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_LOOKED_AT = 64 * 1024


def decoded(name: str, content: bytes) -> str:
    """The text. Raises ExportError for bytes that are no text."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return _decode(name, content, encoding)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        best = from_bytes(content[:_LOOKED_AT], cp_isolation=ENCODINGS).best()
        if best is None or b"\0" in content[:_LOOKED_AT]:
            raise not_a_text(name) from None
        return _decode(name, content, best.encoding)


def read_text(name: str, content: bytes) -> Table:
    """The lines of a text file with separators. Raises ExportError."""
    text = decoded(name, content)
    check_text(name, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator(text), strict=False)
    csv.field_size_limit(LONGEST_CELL)
    rows = []
    try:
        for row in reader:
            rows.append(tuple(row))
            check_rows(name, len(rows))
    except csv.Error as error:
        why = (
            f"в ячейке больше {LONGEST_CELL} знаков, это не похоже на выгрузку участников"
            if "field limit" in str(error)
            else "строка не читается; проверьте кавычки в ней"
        )
        raise ExportError(f"{name}, строка {reader.line_num}: {why}") from error
    return Table(name, "", tuple(rows))


def separator(text: str) -> str:
    """What parts the cells: the separator that most of the first lines have most of."""
    lines = [line for line in text[:_LOOKED_AT].splitlines() if line.strip()][:60]
    try:
        return csv.Sniffer().sniff("\n".join(lines), delimiters=SEPARATORS).delimiter
    except csv.Error:
        return max(SEPARATORS, key=lambda sign: sum(line.count(sign) for line in lines))


def _decode(name: str, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise not_a_text(name) from error
