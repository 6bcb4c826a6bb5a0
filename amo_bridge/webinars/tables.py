"""A table of cells, and what makes one of a file: a book's sheets or a text's lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from amo_bridge.webinars.cells import Cell, Row


@dataclass(frozen=True)
class Table:
    """``file`` and ``sheet`` say where it is; ``sheet`` is empty for a text file. ``rows`` from the first line on."""

    file: str
    sheet: str
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def where(self) -> str:
        return f"{self.file}, лист «{self.sheet}»" if self.sheet else self.file

    def place(self, number: int) -> str:
        """A row for people: counted from 1, as Excel and text editors do."""
        return f"{self.where}, строка {number + 1}"

    def from_row(self, number: int) -> Iterator[tuple[int, Row]]:
        """(number, cells) of the rows from here on that hold anything."""
        for at in range(number, len(self.rows)):
            row = list(self.rows[at])
            if any(cell not in ("", None) for cell in row):
                yield at, row
