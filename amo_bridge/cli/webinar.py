"""``amo-bridge webinar``: attendee exports into amoCRM, from the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from amo_bridge.cli.common import agrees, console, load_or_exit, user_name
from amo_bridge.cli.csv_file import csv_option, has_one_voice, write_csv
from amo_bridge.cli.opened import NoStore, opened
from amo_bridge.cli.options import config_option
from amo_bridge.cli.russian import Command, Declined, Group, Stop
from amo_bridge.cli.webinar_columns import columns_option, named
from amo_bridge.cli.webinar_words import show_end, show_files, show_list, show_plan, show_report
from amo_bridge.cli.webinar_work import a_worker, watch
from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.engine.connection import known_account
from amo_bridge.engine.imports.book import NoSuchImport
from amo_bridge.engine.imports.control import UNDOABLE, ImportControl
from amo_bridge.engine.imports.drafting import Drafting, Upload
from amo_bridge.engine.imports.report import report as report_of
from amo_bridge.web.admission.audit import Audit
from amo_bridge.webinars.exports import ColumnsUnknown, ExportError

Columns = tuple[tuple[str, str], ...]
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
    with _at_work(load_or_exit(config_path)) as desk:
        desk.show(files, _day(held_on), columns)


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
    with a_worker(config, screen), _at_work(config) as desk:
        desk.show(files, _day(held_on), columns)
        if not (yes or agrees("Записать это в amoCRM?")):
            raise Declined("Ничего не записано.")
        for number in desk.drafting.draft(desk.uploads(files), user_name(), _day(held_on)):
            desk.control.start(number)
            desk.write_down(number, "start", "начата")
            watch(desk.book, number, screen)
            show_end(screen, desk.book.get(number), desk.book.counts(number))


@webinar.command("list", cls=Command)
@config_option
def listed(config_path: Path) -> None:
    """Все загрузки, новые первыми."""
    with _at_work(load_or_exit(config_path)) as desk:
        show_list(console(), desk.book.all(), desk.zone)


@webinar.command(cls=Command)
@number_argument
@csv_option
@click.option("--json", "as_json", is_flag=True, help="Для программ: состояние и сколько участников в каком.")
@config_option
def report(number: int, csv_file: Path | None, as_json: bool, config_path: Path) -> None:
    """Что вышло: каждый участник и ссылка на его сделку."""
    has_one_voice(csv_file, as_json=as_json)
    with _at_work(load_or_exit(config_path)) as desk:
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
@config_option
def pause(number: int, config_path: Path) -> None:
    """Остановить загрузку: что не отправлено, подождёт."""
    with _at_work(load_or_exit(config_path)) as desk:
        desk.control.pause(number)
        desk.write_down(number, "pause", "остановлена")


@webinar.command(cls=Command)
@number_argument
@config_option
def resume(number: int, config_path: Path) -> None:
    """Продолжить остановленную загрузку."""
    config = load_or_exit(config_path)
    with a_worker(config, console()), _at_work(config) as desk:
        if desk.book.get(number).state == "paused":
            desk.control.resume(number)
            desk.write_down(number, "resume", "продолжена")
        watch(desk.book, number, console())
        show_end(console(), desk.book.get(number), desk.book.counts(number))


@webinar.command(cls=Command)
@number_argument
@yes_option
@config_option
def undo(number: int, yes: bool, config_path: Path) -> None:
    """Отменить загрузку: созданные сделки закрыть, изменённое вернуть.

    Что с тех пор меняли люди, остаётся как есть.
    """
    config = load_or_exit(config_path)
    with _at_work(config) as desk:
        desk.book.expect(number, UNDOABLE)
    if not (yes or agrees(f"Отменить загрузку № {number}? Удалить сделки нельзя, они будут закрыты.")):
        raise Declined("Ничего не отменено.")
    with a_worker(config, console()), _at_work(config) as desk:
        desk.control.undo(number)
        desk.write_down(number, "undo", "отменяется")
        watch(desk.book, number, console())
        show_end(console(), desk.book.get(number), desk.book.counts(number))
        for kept in desk.book.rows(number):
            if kept.state == "kept":
                click.echo(f"не отменено: {kept.row.person.name}: {kept.note}")


class Desk:
    """What the commands work with."""

    def __init__(
        self, config: Config, drafting: Drafting, control: ImportControl, zone: ZoneInfo, audit: Audit
    ) -> None:
        self._audit = audit
        self.config = config
        self.drafting = drafting
        self.control = control
        self.book = drafting.book
        self.zone = zone

    def write_down(self, number: int, deed: str, words: str) -> None:
        """For the page that tells who changed what."""
        who = f"{user_name()} (командная строка)"
        self._audit.write(who, f"webinar.{deed}", f"Загрузка № {number}: {words}", account=self.config.path.stem)

    def uploads(self, files: Sequence[Path]) -> list[Upload]:
        return [Upload(path.name, path.read_bytes()) for path in files]

    def show(self, files: Sequence[Path], held_on: date | None, columns: Columns) -> None:
        """The plan, on the screen. Columns that are named are remembered for all such tables."""
        uploads = self.uploads(files)
        screen = console()
        try:
            exports = self.drafting.read(uploads)
        except ColumnsUnknown as error:
            if not columns:
                raise Stop(f"{error}. Скажите так: --column почта=«название столбца» --column минуты=«…»") from error
            self.drafting.memory.remember_columns(error.signature, named(columns, error.headers))
            exports = self.drafting.read(uploads)
        before = [self.drafting.memory.same_file(upload.digest) for upload in uploads]
        show_files(screen, [upload.name for upload in uploads], exports, before)
        for day, rows in self.drafting.preview(exports, held_on).items():
            show_plan(screen, day, rows, self.drafting.options)


@contextmanager
def _at_work(config: Config) -> Iterator[Desk]:
    """The store of the account, with what is known of it. Ends the command in words when something is not there."""
    with opened(config) as (store, key):
        account = known_account(config, os.environ)
        if account is None:
            raise NoStore(f"мост ещё не видел аккаунт {config.account.url}: запустите его (amo-bridge serve)")
        try:
            drafting = Drafting(store, key, config, account, SystemClock())
            control = ImportControl(store, key, drafting, dry_run=config.bridge.dry_run)
            yield Desk(config, drafting, control, ZoneInfo(account.timezone), Audit(store, SystemClock()))
        except (ExportError, NoSuchImport) as error:
            raise Stop(str(error)) from error


def _day(told: str | None) -> date | None:
    if told is None:
        return None
    try:
        return datetime.strptime(told, "%d.%m.%Y").date()  # noqa: DTZ007 - a day has no zone
    except ValueError as error:
        raise Stop(f"«{told}» — не дата, нужна вида 13.09.2021") from error
