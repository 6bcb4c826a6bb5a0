"""``amo-bridge restore FILE``: a copy is put back, with the bridge stopped."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from amo_bridge.cli.backup import KEY_ADVICE, refer
from amo_bridge.cli.common import load_or_exit
from amo_bridge.cli.options import config_option
from amo_bridge.cli.russian import Command, Stop
from amo_bridge.errors import BridgeError
from amo_bridge.storage import backup as storage_backup


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="ФАЙЛ")
@click.option("--force", is_flag=True, help="Заменить то, что есть: прежние данные уйдут в папку before-restore-….")
@config_option
def restore(file: Path, force: bool, config_path: Path) -> None:
    """Вернуть данные моста из копии. Мост должен быть остановлен.

    Коды: 0 — готово; 1 — отказано, ничего не изменено; 2 — настройка не годится или база PostgreSQL.
    """
    config = load_or_exit(config_path)
    if config.bridge.database.startswith("postgresql"):
        refer(["pg_restore", "--clean", "--if-exists", str(file)], config)
    try:
        copy = storage_backup.restore(config, file, datetime.now(UTC), force=force)
    except (BridgeError, OSError) as error:
        raise Stop(f"данные не возвращены: {error}") from error
    click.echo(f"Данные возвращены в {config.data_folder}; копия от {copy.made_at:%d.%m.%Y %H:%M} UTC")
    if copy.aside:
        click.echo(f"Прежние данные: {copy.aside}")
    if not copy.has_keys:
        click.echo(KEY_ADVICE)
