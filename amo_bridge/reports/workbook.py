"""Report as an Excel file with a chart. XlsxWriter is an extra: ``pip install 'amo-bridge[reports]'``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import Any

from amo_bridge.errors import ConfigError
from amo_bridge.lazy.dataclasses import dataclass

NEEDED = "Для файлов Excel нужен ещё один пакет: pip install 'amo-bridge[reports]'"


def is_available() -> bool:
    return find_spec("xlsxwriter") is not None


@dataclass(frozen=True)
class Table:
    """A sheet without a chart. A cell is a text, a number, or None for nothing."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | int | None]]


def workbook(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str | int]],
    more: Sequence[Table] = (),
    *,
    has_chart: bool = True,
) -> bytes:
    """``rows``: a name and its figures; with texts among them there is nothing to draw (``has_chart``). ``more``:
    sheets behind it. Nothing is ever taken for a formula. Raises ConfigError (Russian) when the package is missing."""
    if not is_available():
        raise ConfigError([NEEDED])
    from xlsxwriter import Workbook

    out = BytesIO()
    with Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        sheet = book.add_worksheet(title[:31])
        bold = book.add_format({"bold": True})
        sheet.write_row(0, 0, head, bold)
        for number, row in enumerate(rows, start=1):
            sheet.write_row(number, 0, row)
        sheet.set_column(0, 0, 28)
        sheet.freeze_panes(1, 1)
        chart = book.add_chart({"type": "column", "subtype": "stacked"})
        last = len(head) - 1
        for number in range(1, len(rows) + 1 if has_chart else 1):
            chart.add_series(
                {
                    "name": [title[:31], number, 0],
                    "categories": [title[:31], 0, 1, 0, last],
                    "values": [title[:31], number, 1, number, last],
                }
            )
        if rows and has_chart:
            sheet.insert_chart(len(rows) + 3, 0, chart, {"x_scale": 1.8, "y_scale": 1.2})
        for table in more:
            sheet = book.add_worksheet(table.title[:31])
            sheet.write_row(0, 0, table.head, bold)
            for number, cells in enumerate(table.rows, start=1):
                _write(sheet, number, cells)
            sheet.set_column(0, len(table.head) - 1, 20)
            sheet.freeze_panes(1, 0)
    return out.getvalue()


def _write(sheet: Any, number: int, cells: Sequence[str | int | None]) -> None:
    """As ``write_row``, which asks of each cell whether it may be a formula, an address or a date."""
    for column, cell in enumerate(cells):
        if isinstance(cell, str):
            if cell:
                sheet.write_string(number, column, cell)
        elif cell is not None:
            sheet.write_number(number, column, cell)
