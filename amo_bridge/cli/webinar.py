"""``amo-bridge webinar``: attendee exports into amoCRM, from the command line."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import click

from amo_bridge.cli.common import agrees, console, load_or_exit, user_name
from amo_bridge.cli.csv_file import csv_option, has_one_voice, write_csv
from amo_bridge.cli.options import config_option
from amo_bridge.cli.russian import Command, Declined, Group, Stop
from amo_bridge.cli.webinar_columns import columns_option
from amo_bridge.cli.webinar_desk import Columns, at_work, day
from amo_bridge.cli.webinar_words import INTERESTS, show_end, show_list, show_report
from amo_bridge.cli.webinar_work import a_worker, watch
from amo_bridge.config.webinar import Interest
from amo_bridge.webinars.imports.report import report as report_of
from amo_bridge.webinars.imports.service import UNDOABLE
from amo_bridge.webinars.plan import Override

files_argument = click.argument(
    "files", nargs=-1, required=True, metavar="ФАЙЛ …", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)  # fmt: skip
number_argument = click.argument("number", type=int, metavar="НОМЕР")
date_option = click.option("--date", "held_on", metavar="ДД.ММ.ГГГГ", help="Дата вебинара, если её нет в файлах.")
yes_option = click.option("--yes", is_flag=True, help="Не спрашивать.")


@click.group(cls=Group)
def webinar() -> None:
    """Участники вебинаров: посмотреть, загрузить в amoCRM, отменить загрузку."""


@webinar.command(cls=Command)
@files_argument
@date_option
@columns_option
@config_option
def preview(files: tuple[Path, ...], held_on: str | None, columns: Columns, config_path: Path) -> None:
    """Показать, что было бы с участниками. Ничего не записывает."""
    with at_work(load_or_exit(config_path)) as desk:
        desk.show(files, day(held_on), columns)


@webinar.command("import", cls=Command)
@files_argument
@date_option
@columns_option
@yes_option
@config_option
def load(files: tuple[Path, ...], held_on: str | None, columns: Columns, yes: bool, config_path: Path) -> None:
    """Загрузить участников в amoCRM.

    Делает это работающий мост; если он не запущен, на время загрузки его заменит сама команда. Прерванная загрузка
    продолжится с того же места.
    """
    config = load_or_exit(config_path)
    screen = console()
    with a_worker(config, screen), at_work(config) as desk:
        desk.show(files, day(held_on), columns)
        if not (yes or agrees("Записать это в amoCRM?")):
            raise Declined("Ничего не записано.")
        for number in desk.drafting.draft(desk.uploads(files), user_name(), day(held_on)):
            desk.control.start(number)
            desk.write_down(number, "start", "начата")
            watch(desk.book, number, screen)
            show_end(screen, desk.book.get(number), desk.book.counts(number), desk.book.rows(number))


@webinar.command("list", cls=Command)
@config_option
def listed(config_path: Path) -> None:
    """Все загрузки, новые первыми."""
    with at_work(load_or_exit(config_path)) as desk:
        show_list(console(), desk.book.all(), desk.zone)


@webinar.command(cls=Command)
@number_argument
@csv_option
@click.option("--json", "as_json", is_flag=True, help="Для программ: состояние и сколько участников в каком.")
@config_option
def report(number: int, csv_file: Path | None, as_json: bool, config_path: Path) -> None:
    """Что вышло: каждый участник и ссылка на его сделку."""
    has_one_voice(csv_file, as_json=as_json)
    with at_work(load_or_exit(config_path)) as desk:
        job, counts, rows = desk.book.get(number), desk.book.counts(number), desk.book.rows(number)
        if csv_file is not None:
            sheet = report_of(rows, desk.config.account.url, desk.drafting.options)
            write_csv(csv_file, sheet, f"строк: {counts.all}", as_json=as_json)
        if as_json:
            click.echo(
                json.dumps(
                    {"state": job.state, "waiting": counts.waiting, "counts": vars(counts)},
                    ensure_ascii=False,
                    indent=2,
                )
            )
        elif csv_file is None:
            show_report(console(), rows, desk.config.account.url, desk.drafting.options)
            show_end(console(), job, counts)


@webinar.command(cls=Command)
@number_argument
@click.argument("place", type=int, metavar="СТРОКА")
@click.option("--new", "what", flag_value="new", help="Новый контакт.")
@click.option("--skip", "what", flag_value="skip", help="Не загружать.")
@click.option("--plan", "what", flag_value="plan", help="Как решит мост по тому, что знает теперь.")
@click.option("--contact", "contact_id", type=int, metavar="НОМЕР", help="Это контакт с таким номером в amoCRM.")
@click.option("--interest", type=click.Choice(INTERESTS), help="Другой этап: нажимал кнопки, был долго, был недолго.")
@config_option
def decide(
    number: int, place: int, what: str | None, contact_id: int | None, interest: Interest | None, config_path: Path
) -> None:
    """Решить об одном участнике загрузки.

    В черновике решить можно о любом; потом — о сомнительных, забаненных и пропущенных: загрузится только этот человек.
    СТРОКА — № из отчёта.
    """
    if (what is None) == (contact_id is None):
        raise Stop("скажите одно: --new, --skip, --plan или --contact НОМЕР")
    said = Override(skip=what == "skip", as_new=what == "new", contact_id=contact_id, interest=interest)
    config = load_or_exit(config_path)
    with at_work(config) as desk:
        is_draft = desk.book.get(number).state == "draft"
    with nullcontext() if is_draft else a_worker(config, console()), at_work(config) as desk:
        desk.control.say(number, place, said)
        desk.write_down(number, "decide", f"строка {place}, {said.in_words}")
        watch(desk.book, number, console())
        row = desk.book.row(number, place)
        console().print(f"{row.row.person.name}: {row.row.why}; {row.became}")
        show_end(console(), desk.book.get(number), desk.book.counts(number), desk.book.rows(number))


@webinar.command(cls=Command)
@number_argument
@config_option
def pause(number: int, config_path: Path) -> None:
    """Остановить загрузку: что не отправлено, подождёт."""
    with at_work(load_or_exit(config_path)) as desk:
        desk.control.pause(number)
        desk.write_down(number, "pause", "остановлена")


@webinar.command(cls=Command)
@number_argument
@config_option
def resume(number: int, config_path: Path) -> None:
    """Продолжить остановленную загрузку."""
    config = load_or_exit(config_path)
    with a_worker(config, console()), at_work(config) as desk:
        if desk.book.get(number).state == "paused":
            desk.control.resume(number)
            desk.write_down(number, "resume", "продолжена")
        watch(desk.book, number, console())
        show_end(console(), desk.book.get(number), desk.book.counts(number), desk.book.rows(number))


@webinar.command(cls=Command)
@number_argument
@yes_option
@config_option
def undo(number: int, yes: bool, config_path: Path) -> None:
    """Отменить загрузку: созданные сделки закрыть, изменённое вернуть.

    Что с тех пор меняли люди, остаётся как есть.
    """
    config = load_or_exit(config_path)
    with at_work(config) as desk:
        desk.book.expect(number, UNDOABLE)
    if not (yes or agrees(f"Отменить загрузку № {number}? Удалить сделки нельзя, они будут закрыты.")):
        raise Declined("Ничего не отменено.")
    with a_worker(config, console()), at_work(config) as desk:
        desk.control.undo(number)
        desk.write_down(number, "undo", "отменяется")
        watch(desk.book, number, console())
        show_end(console(), desk.book.get(number), desk.book.counts(number), desk.book.rows(number))
        for kept in desk.book.rows(number):
            if kept.state == "kept":
                click.echo(f"не отменено: {kept.row.person.name}: {kept.note}")
