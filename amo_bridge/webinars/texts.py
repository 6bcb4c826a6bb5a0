"""Text files → a table: which encoding, which separator."""

from __future__ import annotations

import csv
import io

from charset_normalizer import from_bytes

from amo_bridge.webinars.exports import ExportError
from amo_bridge.webinars.limits import LONGEST_CELL, check_rows
from amo_bridge.webinars.not_tables import check_text, not_a_text
from amo_bridge.webinars.tables import Table

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
