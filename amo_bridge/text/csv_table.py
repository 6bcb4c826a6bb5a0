"""Tables for people's spreadsheets, as CSV: opened by Excel as they are, and never taken for formulas.

A cell that begins with = + - @ would be run by Excel (OWASP, «CSV Injection»): it gets an apostrophe before it. Russian
Excel wants semicolons, and the mark by which it knows UTF-8.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_RUN_BY_EXCEL = ("=", "+", "-", "@", "\t", "\r")


def guarded(cell: object) -> str:
    """The cell's text, harmless."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_RUN_BY_EXCEL) else text


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """The whole table, for a file."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(header)
    # Numbers stay numbers: a sum of cells that are texts would leave them out.
    writer.writerows([cell if isinstance(cell, int | float) else guarded(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")
