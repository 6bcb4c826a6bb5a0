"""``amo-bridge audiences``: sizes of the audiences, who waits for what, the file for upload by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.table import Table

from amo_bridge.channels.audience_lists import audience_names, confirm_file, listed, make_file
from amo_bridge.channels.audience_log import AudienceLog
from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened
from amo_bridge.clock import SystemClock
from amo_bridge.config.advertising import AudiencesSection
from amo_bridge.storage.database import AccountStore
from amo_bridge.text.names import same_name


@click.command(cls=Command)
@click.argument(
    "action", type=click.Choice(["list", "file", "uploaded"]), default="list", metavar="[list|file|uploaded]"
)
@click.argument("name", required=False, metavar="[АУДИТОРИЯ]")
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"audiences": [...]}.')
@config_option
def audiences(action: str, name: str | None, as_json: bool, config_path: Path) -> None:
    """Аудитории: размер и кто чего ждёт.

    file АУДИТОРИЯ печатает файл хэшей для загрузки в рекламный кабинет (перенаправьте вывод в файл), uploaded АУДИТОРИЯ
    говорит мосту, что файл загружен. Телефонов и почт в файле нет.
    """
    config = load_or_exit(config_path)
    section = config.channels.audiences
    if section is None:
        raise Stop("аудитории не подключены: в настройке нет раздела [audiences] (docs/channels.md)")
    with opened(config) as (whole, account):
        store = AccountStore(whole, account)
        if action == "list":
            _show(store, section, as_json=as_json)
            return
        known = _known(store, section, name)
        now = SystemClock().now()
        if action == "uploaded":
            if not confirm_file(store, known, now):
                raise Stop(f"подтверждать нечего: файла «{known}», который ждёт загрузки, нет")
            click.echo(f"«{known}»: записано, кто был в файле — в аудитории")
            return
        sys.stdout.buffer.write(make_file(store, section, known, now))


def _known(store: AccountStore, section: AudiencesSection, name: str | None) -> str:
    names = audience_names(section, AudienceLog(store))
    known = next((one for one in names if same_name(one, name or "")), None)
    if known is None:
        raise Stop(f"аудитории «{name or ''}» нет; есть {', '.join(names) or 'ни одной'}")
    if listed(section, known)[1].service != "file":
        raise Stop(f"«{known}» выгружает сам мост: файл ей не нужен")
    return known


def _show(store: AccountStore, section: AudiencesSection, *, as_json: bool) -> None:
    log = AudienceLog(store)
    counts = log.counts()
    rows = []
    for name in audience_names(section, log):
        mine, kept = counts.get(name, {}), log.list_of(name)
        rows.append(
            {
                "name": name,
                "service": listed(section, name)[1].service,
                "size": mine.get("in", 0) + mine.get("leaving", 0),
                "queued": mine.get("queued", 0),
                "leaving": mine.get("leaving", 0),
                "refused": mine.get("refused", 0),
                "waits_for": kept.trouble or kept.words,
            }
        )
    if as_json:
        click.echo(json.dumps({"audiences": rows}, ensure_ascii=False, indent=2))
        return
    table = Table("Аудитория", "Где", "Сейчас", "Войдут", "Уйдут", "Не войдут", "Чего ждёт")
    for row in rows:
        table.add_row(*map(str, row.values()))
    console().print(table)
