"""Group ``amo-bridge webinar`` with its command ``preview``; the others are imported when asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from amo_bridge.cli import LazyCommands
from amo_bridge.cli.click_ru import Command, Group, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit
from amo_bridge.cli.webinar_files import Columns, columns_option, date_option, day, files_argument, previewed, read_with
from amo_bridge.webinars.formats import read_export
from amo_bridge.webinars.formats.model import ColumnsUnknown, Export, ExportError
from amo_bridge.webinars.formats.tables import Field
from amo_bridge.webinars.preview import NO_SECTION, asked
from amo_bridge.webinars.preview import offline as offline_plan

if TYPE_CHECKING:
    from amo_bridge.config.model import Config
    from amo_bridge.config.webinar import WebinarSection

COMMANDS = {
    "import": "webinar_imports.load",
    "list": "webinar_imports.listed",
    "report": "webinar_imports",
    "decide": "webinar_imports",
    "pause": "webinar_imports",
    "resume": "webinar_imports",
    "repeat": "webinar_imports",
    "undo": "webinar_imports",
    "columns": "webinar_imports",
}


@click.group(cls=Group, commands=LazyCommands(COMMANDS))
def webinar() -> None:
    """Участники вебинаров: посмотреть, загрузить в amoCRM, отменить загрузку."""


@webinar.command(cls=Command)
@files_argument
@date_option
@columns_option
@click.option("--json", "as_json", is_flag=True, help="Для программ: участники, кто не загружается, сомнения.")
@click.option("--offline", is_flag=True, help="Только прочитать файлы: без amoCRM, моста и его данных.")
@config_option
def preview(
    files: tuple[Path, ...], held_on: str | None, columns: Columns, as_json: bool, offline: bool, config_path: Path
) -> None:
    """Показать, что было бы с участниками. Ничего не записывает."""
    config, named_day = load_or_exit(config_path), day(held_on)
    if offline:
        told = _offline(config, files, named_day, columns)
        if as_json:
            click.echo(json.dumps(told, ensure_ascii=False, indent=2))
            return
        from amo_bridge.cli.webinar_output import show_offline

        show_offline(console(), told)
        return
    # Only here: to read a file takes neither the store nor amoCRM.
    from amo_bridge.cli.webinar_imports import at_work

    with at_work(config) as session:
        if as_json:
            click.echo(json.dumps(session.preview(files, named_day, columns), ensure_ascii=False, indent=2))
        else:
            session.show(files, named_day, columns)


OFFLINE_ZONE = ZoneInfo("Europe/Moscow")
"""The wall clock of a webinar as long as nobody has asked amoCRM for the account's."""


def _offline(config: Config, files: Sequence[Path], held_on: date | None, columns: Columns) -> dict[str, Any]:
    """Raises Stop for a file that can't be read."""
    if config.webinar is None:
        raise Stop(NO_SECTION)
    options = config.webinar
    mappings: dict[str, Mapping[Field, str]] = {}

    def remember(table: str, answer: Mapping[Field, str], _titles: Sequence[str]) -> None:
        mappings[table] = answer

    try:
        exports = read_with(
            lambda: [_read_offline(path, held_on, options, mappings) for path in files], columns, remember
        )
        return previewed(exports, held_on, lambda day: offline_plan(exports, day, options))
    except ColumnsUnknown as error:
        click.echo(str(error), err=True)
        return {"drafts": [], "asked": asked(error.needs)}
    except ExportError as error:
        raise Stop(str(error)) from error


def _read_offline(
    path: Path, held_on: date | None, options: WebinarSection, mappings: Mapping[str, Mapping[Field, str]]
) -> Export:
    day_first = options.zoom_dates == "day first"
    return read_export(
        path.name,
        path.read_bytes(),
        zone=OFFLINE_ZONE,
        day_first=day_first,
        held_on=held_on,
        mappings=mappings,
        is_forked=True,
    )
