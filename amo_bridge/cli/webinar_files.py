"""Attendee files on the command line: columns as a person names them, the day, what is read as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from amo_bridge.cli.click_ru import Stop
from amo_bridge.text.names import nearest, same_name
from amo_bridge.webinars.attendees import NoDay
from amo_bridge.webinars.formats.model import ColumnsUnknown, Export
from amo_bridge.webinars.formats.table_rows import NO_DAY
from amo_bridge.webinars.formats.tables import FIELDS, NO_COLUMN, WORDS, Field
from amo_bridge.webinars.preview import answers_about
from amo_bridge.webinars.preview import as_json as drafts_of

if TYPE_CHECKING:
    from amo_bridge.webinars.plan import Row

_SHORT: dict[Field, str] = {"minutes": "минуты", "buttons": "кнопки", "banner": "баннер", "date": "дата"}


class ColumnOption(click.ParamType[tuple[str, str]]):
    """``поле=Столбец``."""

    name = "column"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        field, sign, title = str(value).partition("=")
        if not sign or not title.strip():
            self.fail(f"«{value}»: нужно поле=столбец, например почта=E-mail", param, ctx)
        return field.strip(), title.strip()


Columns = tuple[tuple[str, str], ...]

columns_option = click.option(
    "--column", "columns", type=ColumnOption(), multiple=True, metavar="ПОЛЕ=СТОЛБЕЦ",
    help="Какой столбец что значит, если мост не понял или понял не так («-» — такого нет); запомнит для таких же "
    f"таблиц. Поля: {', '.join(_SHORT.get(field, WORDS[field]) for field in FIELDS)}.",
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
    if title == NO_COLUMN:
        return title
    for header in headers:
        if same_name(header, title):
            return header
    meant = nearest(title, headers)
    raise Stop(f"столбца «{title}» в файле нет" + (f"; может быть, «{meant}»?" if meant else ""))


def read_with(
    read: Callable[[], list[Export]],
    columns: Columns,
    remember: Callable[[str, Mapping[Field, str], Sequence[str]], None],
) -> list[Export]:
    """What the files say when these columns are what a person has named: of tables that ask for them, and of those that
    are understood by themselves. Raises ColumnsUnknown; Stop for a column that no table has."""
    settled: set[str] = set()
    while True:
        try:
            exports = read()
        except ColumnsUnknown as error:
            if not columns or error.signature in settled:
                raise
            remember(error.signature, named(columns, error.headers), error.headers)
            settled.add(error.signature)
            continue
        if not columns:
            return exports
        titles = [title for export in exports for table in export.tables for title in table.titles]
        answers = answers_about(exports, named(columns, titles), settled)
        if not answers:
            if not settled:
                click.echo("--column не понадобился: столбцы и так поняты так, как вы назвали", err=True)
            return exports
        for table, (answer, all_titles) in answers.items():
            remember(table, answer, all_titles)
        settled |= answers.keys()


def day(told: str | None) -> date | None:
    """Of the calendar, as people type it. Ends the command in words for what is none."""
    if told is None:
        return None
    try:
        return datetime.strptime(told, "%d.%m.%Y").date()  # noqa: DTZ007 - a day has no zone
    except ValueError as error:
        raise Stop(f"«{told}» — не дата, нужна вида 13.09.2021") from error


def previewed(
    exports: Sequence[Export], held_on: date | None, planned: Callable[[date | None], dict[date, list[Row]]]
) -> dict[str, Any]:
    """What ``webinar preview --json`` prints; a day that nobody tells is asked for."""
    try:
        return {"drafts": drafts_of(exports, planned(held_on), held_on), "asked": []}
    except NoDay as error:
        click.echo(str(error), err=True)
        return {"drafts": drafts_of(exports, planned(NO_DAY), None, is_day_known=False), "asked": ["дата"]}


# What several commands are told.

files_argument = click.argument(
    "files", nargs=-1, required=True, metavar="ФАЙЛ …", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)  # fmt: skip
date_option = click.option("--date", "held_on", metavar="ДД.ММ.ГГГГ", help="Дата вебинара, если её нет в файлах.")
