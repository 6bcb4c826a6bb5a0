"""Columns of a table that nobody knows, named on the command line: ``--column почта="E-mail участника"``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from amo_bridge.cli.russian import Stop
from amo_bridge.text.names import nearest, same_name
from amo_bridge.webinars.formats.tables import FIELDS, WORDS, Field

_SHORT: dict[Field, str] = {"minutes": "минуты", "buttons": "кнопки", "banner": "баннер", "date": "дата"}


class ColumnOption(click.ParamType[tuple[str, str]]):
    """``поле=Столбец``."""

    name = "column"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        field, sign, title = str(value).partition("=")
        if not sign or not title.strip():
            self.fail(f"«{value}»: нужно поле=столбец, например почта=E-mail", param, ctx)
        return field.strip(), title.strip()


columns_option = click.option(
    "--column", "columns", type=ColumnOption(), multiple=True, metavar="ПОЛЕ=СТОЛБЕЦ",
    help="Какой столбец что значит, если мост сам не понял; запомнит для таких же таблиц. "
    f"Поля: {', '.join(_SHORT.get(field, WORDS[field]) for field in FIELDS)}.",
)  # fmt: skip


def named(columns: Sequence[tuple[str, str]], headers: Sequence[str]) -> dict[Field, str]:
    """Field → title of its column. Raises Stop for a field or a column that there is not."""
    return {_field(field): _title(title, headers) for field, title in columns}


def _field(word: str) -> Field:
    for field in FIELDS:
        if same_name(word, field) or same_name(word, WORDS[field]) or same_name(word, _SHORT.get(field, "")):
            return field
    known = [_SHORT.get(field, WORDS[field]) for field in FIELDS]
    meant = nearest(word, known)
    raise Stop(f"поля «{word}» нет" + (f"; может быть, «{meant}»?" if meant else f"; есть: {', '.join(known)}"))


def _title(title: str, headers: Sequence[str]) -> str:
    for header in headers:
        if same_name(header, title):
            return header
    meant = nearest(title, headers)
    raise Stop(f"столбца «{title}» в файле нет" + (f"; может быть, «{meant}»?" if meant else ""))
