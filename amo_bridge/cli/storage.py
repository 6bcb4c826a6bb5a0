"""Commands about the bridge's data: ``amo-bridge backup``, ``restore``, ``tidy``."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import URL, make_url

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, load_or_exit, opened
from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.dates.duration import describe
from amo_bridge.engine.retention import Retention
from amo_bridge.errors import BridgeError
from amo_bridge.storage import backup as storage_backup
from amo_bridge.storage.backup import back_up
from amo_bridge.storage.database import AccountStore

OTHER_TOOL = 2
MARK = "Затем, до запуска моста: amo-bridge restore --mark (иначе он повторит то, что сделал после копии)."
SILENT = (
    "Дальше: запустите мост. О том, что случилось между копией и этим часом, правила молчат, в журнале сделок сказано "
    "почему (amo-bridge why НОМЕР); исполнить по одному событию — amo-bridge replay. Что ждало отправки в час копии, "
    "мост сначала ищет в amoCRM. Шедшие загрузки участников стоят на паузе: посмотрите, что они успели, и продолжите."
)
CATCHES_UP = (
    "Дальше: запустите мост с dry_run = true и прочтите amo-bridge why по нескольким сделкам: правила исполняются и о "
    "том, что случилось после копии, сделанное тогда может повториться."
)
KEY_ADVICE = "Ключа в ней нет: он в AMO_BRIDGE_KEY. Храните его отдельно, без него токены из копии не прочитать."


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), metavar="ФАЙЛ")
@config_option
def backup(file: Path, config_path: Path) -> None:
    """Скопировать базу, токены и ключ моста в новый файл; мост может работать.

    Коды: 0 — готово; 1 — не вышло; 2 — настройка не годится или база PostgreSQL, её копирует pg_dump.
    """
    config = load_or_exit(config_path)
    if config.bridge.database.startswith("postgresql"):
        refer(["pg_dump", "--format=custom", f"--file={file}"], config)
    try:
        copy = back_up(config, file, datetime.now(UTC))
    except (BridgeError, OSError) as error:
        raise Stop(f"копия не сделана: {error}") from error
    click.echo(f"Копия готова: {copy.path} ({copy.path.stat().st_size} байт). В ней токены: берегите её.")
    if not copy.has_keys:
        click.echo(KEY_ADVICE)


def refer(command: list[str], config: Config, then: str = "") -> None:
    """PostgreSQL has better tools of its own: say the exact command, end with code 2. ``then``: what comes after."""
    told = make_url(config.bridge.database)
    url = URL.create("postgresql", told.username, None, told.host, told.port, told.database, told.query)
    words = shlex.join([*command, f"--dbname={url.render_as_string()}"])
    click.echo(f"База — PostgreSQL, у неё свои средства (пароль — в PGPASSWORD или ~/.pgpass):\n  {words}", err=True)
    if then:
        click.echo(then, err=True)
    click.echo(KEY_ADVICE, err=True)
    sys.exit(OTHER_TOOL)


# ``amo-bridge restore FILE``: a copy is put back, with the bridge stopped.


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="[ФАЙЛ]", required=False)
@click.option(
    "--catch-up",
    is_flag=True,
    help="Исполнить правила и о случившемся после копии: сделанное может повториться.",
)
@click.option("--mark", is_flag=True, help="Только пометить: базу уже вернул pg_restore (файл не нужен).")
@click.option("--force", is_flag=True, help="Заменить то, что есть: прежние данные уйдут в папку before-restore-….")
@config_option
def restore(file: Path | None, force: bool, catch_up: bool, mark: bool, config_path: Path) -> None:
    """Вернуть данные моста из копии. Мост должен быть остановлен.

    Что мост делал после копии, он не помнит, поэтому о случившемся до возврата правила молчат (--catch-up: не молчат).

    Коды: 0 — готово; 1 — отказано, ничего не изменено; 2 — настройка не годится или база PostgreSQL.
    """
    config = load_or_exit(config_path)
    if mark:
        _mark(config)
        return
    if file is None:
        raise click.UsageError("назовите файл копии")
    if config.bridge.database.startswith("postgresql"):
        refer(["pg_restore", "--clean", "--if-exists", str(file)], config, then=MARK)
    try:
        copy = storage_backup.restore(config, file, datetime.now(UTC), force=force, catch_up=catch_up)
    except (BridgeError, OSError) as error:
        raise Stop(f"данные не возвращены: {error}") from error
    click.echo(f"Данные возвращены в {config.data_folder}; копия от {copy.made_at:%d.%m.%Y %H:%M} UTC")
    if copy.aside:
        click.echo(f"Прежние данные: {copy.aside}")
    if not copy.has_keys:
        click.echo(KEY_ADVICE)
    click.echo(CATCHES_UP if catch_up else SILENT)


def _mark(config: Config) -> None:
    """Mark a store that its own tools have put back."""
    try:
        made_at = storage_backup.mark(config, datetime.now(UTC))
    except (BridgeError, OSError) as error:
        raise Stop(f"не помечено: {error}") from error
    click.echo(f"База помечена: последнее известное ей событие — {made_at:%d.%m.%Y %H:%M} UTC")
    click.echo(SILENT)


# Old rows are deleted now.

TABLES = {"inbox": "хуков", "events": "событий", "outbox": "сделанных действий", "journal": "строк журнала"}


@click.command(cls=Command)
@config_option
def tidy(config_path: Path) -> None:
    """Удалить старое, как настроено в keep_hooks и keep_journal. Мост делает это сам раз в сутки."""
    config = load_or_exit(config_path)
    deleted = dict.fromkeys(TABLES, 0)
    with opened(config) as (store, key):
        for table, rows in Retention(AccountStore(store, key), SystemClock(), config.bridge).tidy():
            deleted[table] += rows
    told = ", ".join(f"{words} {deleted[table]}" for table, words in TABLES.items())
    keep = f"хуки — {describe(config.bridge.keep_hooks)}, журнал — {describe(config.bridge.keep_journal)}"
    click.echo(f"Удалено: {told}. Хранится: {keep}")
