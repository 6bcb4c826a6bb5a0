"""Which column is what: platforms name their columns each in their own way, and change the order as they please."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from amo_bridge.text.names import normalise
from amo_bridge.webinars.cells import Cell, Row, text
from amo_bridge.webinars.tables import Table

Field = Literal["name", "mail", "phone", "minutes", "came", "left", "from", "till", "buttons", "banner", "banned",
                "date", "attended", "ip", "city"]  # fmt: skip
FIELDS: tuple[Field, ...] = get_args(Field)

WORDS: Mapping[str, str] = {
    "name": "имя", "mail": "почта", "phone": "телефон", "minutes": "минут на вебинаре", "came": "пришёл",
    "left": "ушёл", "from": "начало интервала", "till": "конец интервала", "buttons": "нажатые кнопки",
    "banner": "клик по баннеру", "banned": "забанен", "date": "дата вебинара", "attended": "присутствовал",
    "ip": "IP", "city": "город",
}  # fmt: skip
"""What each field is called for people."""

Aliases = Mapping[Field, Sequence[str]]
# How far down a header may stand: exports put a title and a summary before it.
HEADER_WITHIN = 60


@dataclass(frozen=True)
class Columns:
    """``at``: field → number of its column. ``header``: the row with the titles."""

    header: int
    at: Mapping[Field, int]

    def cell(self, row: Row, field: Field) -> Cell:
        """The field's cell in a row; None if the table has no such column or the row is short."""
        number = self.at.get(field)
        return row[number] if number is not None and number < len(row) else None

    def has(self, *fields: Field) -> bool:
        return all(field in self.at for field in fields)


def titles(row: Sequence[Cell]) -> list[str]:
    """The cells of a header in the form in which they are compared."""
    return [normalise(text(cell)).strip(" :.") for cell in row]


def find_columns(table: Table, aliases: Aliases, *, start: int = 0, at_least: int = 2) -> Columns | None:
    """The first row in which enough columns are known, and where they are; None if there is none."""
    for number in range(start, min(start + HEADER_WITHIN, len(table.rows))):
        at = _known(titles(table.rows[number]), aliases)
        if len(at) >= at_least:
            return Columns(number, at)
    return None


def named_columns(header: int, row: Sequence[Cell], names: Mapping[Field, str]) -> Columns:
    """Columns as a person named them."""
    known = titles(row)
    at = {field: known.index(title) for field, name in names.items() if (title := _plain(name)) in known}
    return Columns(header, at)


def header_row(table: Table) -> int:
    """Where the header of an unknown table seems to be: the first of its fullest rows."""
    widths = [sum(1 for cell in row if text(cell)) for row in table.rows[:HEADER_WITHIN]]
    return widths.index(max(widths)) if widths else 0


def signature(row: Sequence[Cell]) -> str:
    """The same for every file with these columns, whatever is in them."""
    return hashlib.sha256("\0".join(titles(row)).encode()).hexdigest()[:32]


def _plain(name: str) -> str:
    return normalise(name).strip(" :.")


def _known(row: list[str], aliases: Aliases) -> dict[Field, int]:
    """An exact title wins over one that only begins so: «E-mail» before «E-mail подтверждён»."""
    at: dict[Field, int] = {}
    for field, words in aliases.items():
        wanted = [_plain(word) for word in words]
        exact = [number for word in wanted for number, title in enumerate(row) if title == word]
        begins = [number for word in wanted for number, title in enumerate(row) if title.startswith(f"{word} ")]
        free = [number for number in (*exact, *begins) if number not in at.values()]
        if free:
            at[field] = free[0]
    return at
