"""Text files with separators → rows: encoding and separator found in linear time."""

from __future__ import annotations

import csv
import re
from collections import Counter

from amo_bridge.webinars.formats.guards import LONGEST_CELL, MOST_COLUMNS, check_rows, check_text, not_a_text
from amo_bridge.webinars.formats.model import ExportError
from amo_bridge.webinars.formats.tables import heading

SEPARATORS = ";\t,|"
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_EIGHT_BITS = ("cp1251", "koi8_r", "cp866")
_USUAL = frozenset("оеаинтсрвлкмдпуя")
_CYRILLIC = re.compile("[а-яё]{2}", re.IGNORECASE)
_LOOKED_AT = 64 * 1024
_LINES_LOOKED_AT = 200
_CELLS_LOOKED_AT = 100
_TOLD = re.compile(r"sep=(.)\s*")


def decoded(name: str, content: bytes) -> str:
    """The text. Raises ExportError for bytes that are no text."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return _decode(name, content, encoding)
    if b"\0" in content[:_LOOKED_AT]:
        return _decode(name, content, _utf_16(name, content))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return _decode(name, content, _eight_bits(content))


def _utf_16(name: str, content: bytes) -> str:
    """UTF-16 without its mark: every other byte is the high one of a Latin or a Cyrillic letter."""
    begins = content[:_LOOKED_AT]
    for encoding, highs in (("utf-16-le", begins[1::2]), ("utf-16-be", begins[0::2])):
        if highs and sum(byte in (0, 4) for byte in highs) > len(highs) * 0.9:
            return encoding
    raise not_a_text(name)


def _eight_bits(content: bytes) -> str:
    """The encoding in which the letters are those that Russian texts have most of."""
    begins = content[:_LOOKED_AT]
    texts = {encoding: begins.decode(encoding, "replace") for encoding in _EIGHT_BITS}
    best = max(_EIGHT_BITS, key=lambda encoding: sum(char in _USUAL for char in texts[encoding]))
    return best if _CYRILLIC.search(texts[best]) else "cp1252"


def _decode(name: str, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise not_a_text(name) from error


def rows_of(name: str, content: bytes, most_rows: int) -> list[tuple[str, ...]]:
    """The cells of each line. Raises ExportError."""
    text = decoded(name, content)
    check_text(name, text)
    lines = text.splitlines(keepends=True)
    told = _TOLD.fullmatch(lines[0].strip('\ufeff"')) if lines else None
    sign = told[1] if told else separator(text)
    csv.field_size_limit(LONGEST_CELL)
    try:
        rows = _parsed(name, lines, sign, most_rows)
    except csv.Error:
        rows = []
    if not rows or any(_is_swallowed(cell, sign) for row in rows for cell in row):
        # A quote that nobody closed has taken in the lines after it: each line by itself.
        rows = _line_by_line(name, lines, sign, most_rows)
    if told:
        rows[0] = ("",)
    return rows


def _parsed(name: str, lines: list[str], sign: str, most_rows: int) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for row in csv.reader(lines, delimiter=sign, strict=False):
        rows.append(_checked(name, len(rows), tuple(row), most_rows))
    return rows


def _checked(name: str, number: int, row: tuple[str, ...], most_rows: int) -> tuple[str, ...]:
    check_rows(name, number + 1, most_rows)
    if len(row) > MOST_COLUMNS:
        raise ExportError(f"{name}, строка {number + 1}: столбцов больше {MOST_COLUMNS}, это не похоже на выгрузку")
    return row


def _is_swallowed(cell: str, sign: str) -> bool:
    return "\n" in cell and cell.count(sign) > 1


def _line_by_line(name: str, lines: list[str], sign: str, most_rows: int) -> list[tuple[str, ...]]:
    rows = []
    for number, line in enumerate(lines):
        bare = line.rstrip("\r\n")
        if bare.count('"') % 2:
            row = tuple(cell.strip().strip('"') for cell in bare.split(sign))
        else:
            try:
                row = tuple(next(csv.reader([bare], delimiter=sign), ()))
            except csv.Error:
                row = tuple(bare.split(sign))
        if any(len(cell) > LONGEST_CELL for cell in row):
            words = f"в ячейке больше {LONGEST_CELL} знаков, это не похоже на выгрузку"
            raise ExportError(f"{name}, строка {number + 1}: {words}")
        rows.append(_checked(name, number, row, most_rows))
    return rows


def separator(text: str) -> str:
    """What parts the cells: the sign by which most headings are known; else the one that parts most cells alike."""
    lines = [line for line in text[:_LOOKED_AT].splitlines() if line.strip()][:_LINES_LOOKED_AT]
    bare = ["".join(line.split('"')[::2]) for line in lines]
    best, best_score = SEPARATORS[0], (0, 0)
    for sign in SEPARATORS:
        known = max((_known_headings(line, sign) for line in lines), default=0)
        counts = Counter(count for line in bare if (count := line.count(sign)))
        mass = sum(count * lines_so for count, lines_so in counts.items() if lines_so > 1 or len(lines) == 1)
        if (known, mass) > best_score:
            best, best_score = sign, (known, mass)
    return best


def _known_headings(line: str, sign: str) -> int:
    if sign not in line:
        return 0
    titles = [part.strip().strip('"') for part in line.split(sign, _CELLS_LOOKED_AT)[:_CELLS_LOOKED_AT]]
    return len({name for title in titles for name in heading(title).fields})
