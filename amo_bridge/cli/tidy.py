"""``amo-bridge tidy``: old rows are deleted now, and not when the day is over."""

from __future__ import annotations

from pathlib import Path

import click

from amo_bridge.cli.click_ru import Command
from amo_bridge.cli.common import config_option, load_or_exit, opened
from amo_bridge.clock import SystemClock
from amo_bridge.dates.duration import describe
from amo_bridge.engine.retention import Retention
from amo_bridge.storage.database import AccountStore

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
