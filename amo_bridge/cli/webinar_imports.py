"""Commands about webinar imports: loaded, reported, held, undone; a worker for them if no bridge runs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from amo_bridge.cli.click_ru import Command, Declined, Stop
from amo_bridge.cli.common import (
    NoStore,
    agrees,
    config_option,
    console,
    csv_option,
    has_one_voice,
    load_or_exit,
    opened,
    tell_and_exit,
    user_name,
    write_csv,
)
from amo_bridge.cli.webinar_files import (
    Columns,
    columns_option,
    date_option,
    day,
    files_argument,
    named,
    previewed,
    read_with,
)
from amo_bridge.cli.webinar_output import (
    INTERESTS,
    show_answers,
    show_end,
    show_files,
    show_list,
    show_plan,
    show_report,
)
from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.config.webinar import Interest
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.storage.accounts import RECONCILED_AT, Cursors, known_key
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import known_account
from amo_bridge.web.auth.audit import Audit
from amo_bridge.webinars.formats.model import ColumnsUnknown, Export, ExportError
from amo_bridge.webinars.formats.tables import Field
from amo_bridge.webinars.imports.drafts import DraftService, Upload
from amo_bridge.webinars.imports.model import STATE_WORDS
from amo_bridge.webinars.imports.report import report as report_of
from amo_bridge.webinars.imports.repository import ACTIVE, ImportRepository, NoSuchImport
from amo_bridge.webinars.imports.service import UNDOABLE, ImportService
from amo_bridge.webinars.plan import Override
from amo_bridge.webinars.preview import asked, doubts


class ImportSession:
    """What the commands work with."""

    def __init__(
        self, config: Config, drafting: DraftService, control: ImportService, zone: ZoneInfo, audit: Audit
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

    def write_down_answer(self, words: str) -> None:
        """The same, of an answer about columns."""
        who = f"{user_name()} (командная строка)"
        self._audit.write(who, "webinar.columns", words, account=self.config.path.stem)

    def uploads(self, files: Sequence[Path]) -> list[Upload]:
        return [Upload(path.name, path.read_bytes()) for path in files]

    def _read(self, uploads: Sequence[Upload], held_on: date | None, columns: Columns) -> list[Export]:
        """Columns that are named are remembered for all such tables. Raises ColumnsUnknown."""
        memory = self.drafting.memory

        def remember(table: str, answer: Mapping[Field, str], titles: Sequence[str]) -> None:
            memory.remember_columns(table, {**memory.columns().get(table, {}), **answer}, titles)

        return read_with(lambda: self.drafting.read(uploads, held_on), columns, remember)

    def preview(self, files: Sequence[Path], held_on: date | None, columns: Columns) -> dict[str, Any]:
        """The plan, for programs."""
        try:
            exports = self._read(self.uploads(files), held_on, columns)
        except ColumnsUnknown as error:
            click.echo(str(error), err=True)
            return {"drafts": [], "asked": asked(error.needs)}
        return previewed(exports, held_on, lambda day: self.drafting.preview(exports, day))

    def show(self, files: Sequence[Path], held_on: date | None, columns: Columns) -> int:
        """The plan, on the screen; how many doubts there are about it."""
        uploads = self.uploads(files)
        screen = console()
        try:
            exports = self._read(uploads, held_on, columns)
        except ColumnsUnknown as error:
            raise Stop(f"{error}. Скажите так: --column почта=«название столбца» --column минуты=«…»") from error
        before = [self.drafting.memory.loaded_by(upload.digest) for upload in uploads]
        drafts = [self.drafting.memory.same_file(upload.digest, ("draft",)) for upload in uploads]
        show_files(screen, [upload.name for upload in uploads], exports, before, drafts)
        found = 0
        for of_day, rows in self.drafting.preview(exports, held_on).items():
            odd = doubts(exports, [row.person for row in rows], of_day, held_on)
            show_plan(screen, of_day, rows, self.drafting.options, odd)
            found += len(odd)
        return found


@contextmanager
def at_work(config: Config) -> Iterator[ImportSession]:
    """The store of the account, with what is known of it. Ends the command in words when something is not there."""
    with opened(config) as (store, key):
        account = known_account(config, os.environ)
        if account is None:
            raise NoStore(f"мост ещё не видел аккаунт {config.account.url}: запустите его (amo-bridge serve)")
        try:
            drafting = DraftService(AccountStore(store, key), config, account, SystemClock())
            control = ImportService(AccountStore(store, key), drafting, dry_run=config.bridge.dry_run)
            yield ImportSession(config, drafting, control, ZoneInfo(account.timezone), Audit(store, SystemClock()))
        except (ExportError, NoSuchImport) as error:
            raise Stop(str(error)) from error


# A worker for a command: a running bridge's if there is one, else one of the command's own while it lasts.

LOOK_EVERY = 0.2


@contextmanager
def a_worker(config: Config, screen: Console) -> Iterator[None]:
    """Somebody works for the account meanwhile. If a bridge leads already, ours only stands by; else it first hears
    what it has missed: a plan by an old copy would take people for strangers."""
    since = time.time()
    bridge = AccountRuntime(config, os.environ, "", role="worker")
    bridge.start()
    try:
        with screen.status("мост готовится") as status:
            while bridge.state != "ready" and not bridge.problems:
                status.update(f"мост готовится: {bridge.state}")
                time.sleep(LOOK_EVERY)
            while not (bridge.problems or _has_caught_up(bridge, since)):
                status.update("мост читает, что изменилось в amoCRM")
                time.sleep(LOOK_EVERY)
        if bridge.problems:
            tell_and_exit(bridge.problems)
        yield
    finally:
        bridge.stop()


def _has_caught_up(bridge: AccountRuntime, since: float) -> bool:
    """Has the account been looked over since then, and are all its contacts known?"""
    store = bridge.resources.store
    key = known_key(store, bridge.config.account.url)
    if key is None:
        return False
    looked_at = Cursors(AccountStore(store, key)).read(RECONCILED_AT) or 0.0
    return ContactIndex(AccountStore(store, key)).is_filled and (looked_at >= since or not bridge.is_leading)


def watch(book: ImportRepository, number: int, screen: Console) -> None:
    """Show how far an import is until it is over. Leaving (Ctrl+C) holds it: it goes on when somebody says so."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen) as bar:
        task = bar.add_task(f"загрузка № {number}", total=book.counts(number).all)
        while (job := book.get(number)).state in ACTIVE:
            counts = book.counts(number)
            words = f"загрузка № {number}: {STATE_WORDS[job.state]}" + (f" ({job.trouble})" if job.trouble else "")
            bar.update(task, completed=counts.settled, description=words)
            time.sleep(LOOK_EVERY)
        bar.update(task, completed=book.counts(number).settled)


# The commands.

number_argument = click.argument("number", type=int, metavar="НОМЕР")
yes_option = click.option("--yes", is_flag=True, help="Не спрашивать.")


@click.command("import", cls=Command)
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
    with a_worker(config, screen), at_work(config) as session:
        found = session.show(files, day(held_on), columns)
        odd = f"Есть сомнения ({found}), они названы выше. " if found else ""
        if not (yes or agrees(f"{odd}Записать это в amoCRM?")):
            raise Declined("Ничего не записано.")
        for number in session.drafting.draft(session.uploads(files), user_name(), day(held_on)):
            session.control.start(number)
            session.write_down(number, "start", "начата")
            watch(session.book, number, screen)
            show_end(screen, session.book.get(number), session.book.counts(number), session.book.rows(number))


@click.command("list", cls=Command)
@config_option
def listed(config_path: Path) -> None:
    """Все загрузки, новые первыми."""
    with at_work(load_or_exit(config_path)) as session:
        show_list(console(), session.book.all(), session.zone)


@click.command(cls=Command)
@number_argument
@csv_option
@click.option("--json", "as_json", is_flag=True, help="Для программ: состояние и сколько участников в каком.")
@config_option
def report(number: int, csv_file: Path | None, as_json: bool, config_path: Path) -> None:
    """Что вышло: каждый участник и ссылка на его сделку."""
    has_one_voice(csv_file, as_json=as_json)
    with at_work(load_or_exit(config_path)) as session:
        job, counts, rows = session.book.get(number), session.book.counts(number), session.book.rows(number)
        if csv_file is not None:
            sheet = report_of(rows, session.config.account.url, session.drafting.options)
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
            show_report(console(), rows, session.config.account.url, session.drafting.options)
            show_end(console(), job, counts)


@click.command(cls=Command)
@number_argument
@click.argument("place", type=int, required=False, metavar="СТРОКА")
@click.option("--unknown-minutes", is_flag=True, help="Обо всех, о ком неизвестно, сколько они смотрели.")
@click.option("--new", "what", flag_value="new", help="Новый контакт.")
@click.option("--skip", "what", flag_value="skip", help="Не загружать.")
@click.option("--plan", "what", flag_value="plan", help="Как решит мост по тому, что знает теперь.")
@click.option("--contact", "contact_id", type=int, metavar="НОМЕР", help="Это контакт с таким номером в amoCRM.")
@click.option("--interest", type=click.Choice(INTERESTS), help="Другой этап: нажимал кнопки, был долго, был недолго.")
@config_option
def decide(
    number: int,
    place: int | None,
    unknown_minutes: bool,
    what: str | None,
    contact_id: int | None,
    interest: Interest | None,
    config_path: Path,
) -> None:
    """Решить об одном участнике загрузки.

    В черновике решить можно о любом; потом — о сомнительных, забаненных и пропущенных: загрузится только этот человек.
    СТРОКА — № из отчёта.
    """
    if unknown_minutes == (place is not None):
        raise Stop("назовите СТРОКУ или скажите --unknown-minutes")
    if unknown_minutes and ((what == "skip") == (interest is not None) or what == "new" or contact_id is not None):
        raise Stop("с --unknown-minutes скажите одно: --interest ЭТАП или --skip")
    if not unknown_minutes and (what is None) == (contact_id is None):
        raise Stop("скажите одно: --new, --skip, --plan или --contact НОМЕР")
    said = Override(skip=what == "skip", as_new=what == "new", contact_id=contact_id, interest=interest)
    config = load_or_exit(config_path)
    with at_work(config) as session:
        is_draft = session.book.get(number).state == "draft"
    with nullcontext() if is_draft else a_worker(config, console()), at_work(config) as session:
        if place is None:
            count = session.control.say_of_unknown_minutes(number, said)
            session.write_down(number, "decide", f"сколько смотрели, неизвестно ({count}): {said.in_words}")
            watch(session.book, number, console())
            console().print(f"Решено о {count}: {said.in_words}")
        else:
            session.control.say(number, place, said)
            session.write_down(number, "decide", f"строка {place}, {said.in_words}")
            watch(session.book, number, console())
            row = session.book.row(number, place)
            console().print(f"{row.row.person.name}: {row.row.why}; {row.became}")
        show_end(console(), session.book.get(number), session.book.counts(number), session.book.rows(number))


@click.command(cls=Command)
@number_argument
@config_option
def pause(number: int, config_path: Path) -> None:
    """Остановить загрузку: что не отправлено, подождёт."""
    with at_work(load_or_exit(config_path)) as session:
        session.control.pause(number)
        session.write_down(number, "pause", "остановлена")


@click.command(cls=Command)
@number_argument
@config_option
def resume(number: int, config_path: Path) -> None:
    """Продолжить остановленную загрузку."""
    config = load_or_exit(config_path)
    with a_worker(config, console()), at_work(config) as session:
        if session.book.get(number).state == "paused":
            session.control.resume(number)
            session.write_down(number, "resume", "продолжена")
        watch(session.book, number, console())
        show_end(console(), session.book.get(number), session.book.counts(number), session.book.rows(number))


@click.command(cls=Command)
@number_argument
@click.argument("place", type=int, required=False, metavar="СТРОКА")
@config_option
def repeat(number: int, place: int | None, config_path: Path) -> None:
    """Повторить для тех, у кого не вышло: для всех или для одного.

    Что нужно сделать, мост решает заново. СТРОКА — № из отчёта.
    """
    config = load_or_exit(config_path)
    with a_worker(config, console()), at_work(config) as session:
        count = session.control.repeat(number, place)
        session.write_down(number, "repeat", f"повтор того, что не вышло ({count})")
        watch(session.book, number, console())
        show_end(console(), session.book.get(number), session.book.counts(number), session.book.rows(number))


@click.command(cls=Command)
@number_argument
@yes_option
@config_option
def undo(number: int, yes: bool, config_path: Path) -> None:
    """Отменить загрузку: созданные сделки закрыть, изменённое вернуть.

    Что с тех пор меняли люди, остаётся как есть.
    """
    config = load_or_exit(config_path)
    with at_work(config) as session:
        session.book.expect(number, UNDOABLE)
    if not (yes or agrees(f"Отменить загрузку № {number}? Удалить сделки нельзя, они будут закрыты.")):
        raise Declined("Ничего не отменено.")
    with a_worker(config, console()), at_work(config) as session:
        session.control.undo(number)
        session.write_down(number, "undo", "отменяется")
        watch(session.book, number, console())
        show_end(console(), session.book.get(number), session.book.counts(number), session.book.rows(number))
        for kept in session.book.rows(number):
            if kept.state == "kept":
                click.echo(f"не отменено: {kept.row.person.name}: {kept.note}")


@click.command(cls=Command)
@click.option("--forget", metavar="ОТВЕТ", help="Забыть этот ответ: такую таблицу мост спросит снова.")
@click.option("--change", metavar="ОТВЕТ", help="Изменить этот ответ; столбцы — ключом --column.")
@columns_option
@config_option
def columns(forget: str | None, change: str | None, columns: Columns, config_path: Path) -> None:
    """Ответы о столбцах таблиц: посмотреть, изменить, забыть. ОТВЕТ — начало его номера из списка."""
    with at_work(load_or_exit(config_path)) as session:
        memory = session.drafting.memory
        if forget:
            answer = memory.column_answer(forget)
            memory.forget_columns(answer.signature)
            session.write_down_answer(f"Ответ о столбцах {answer.signature[:8]} забыт")
        elif change:
            answer = memory.column_answer(change)
            told = named(columns, answer.titles or [title for _, title in columns])
            if answer.finds_people and not told.keys() & {"mail", "phone"}:
                raise Stop("назовите хотя бы столбец с почтой или с телефоном: --column почта=«…»")
            memory.remember_columns(answer.signature, told, answer.titles)
            session.write_down_answer(f"Ответ о столбцах {answer.signature[:8]} изменён")
        show_answers(console(), memory.column_answers())
