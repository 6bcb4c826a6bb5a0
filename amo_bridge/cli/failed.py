"""``amo-bridge failed``: what the bridge gave up on, and what is to become of it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened, user_name
from amo_bridge.clock import SystemClock
from amo_bridge.engine.dead_letters import WORDS, DeadLetter, DeadLetters, NotFailed
from amo_bridge.runtime.connection import known_timezone
from amo_bridge.storage.database import AccountStore

THERE_ARE_SOME = 1


class Misused(Stop):
    """The command makes no sense as it was given."""

    exit_code = 2


@click.command(cls=Command)
@click.argument("action", type=click.Choice(["list", "retry", "drop"]), default="list", metavar="[list|retry|drop]")
@click.argument("names", nargs=-1, metavar="[НОМЕР …]")
@click.option("--all", "everything", is_flag=True, help="Все отказы, а не только названные.")
@click.option("--who", metavar="ИМЯ", help="Кто решил: попадёт в журнал. Без ключа — имя пользователя системы.")
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"failures": [...]}.')
@config_option
def failed(
    action: str, names: tuple[str, ...], everything: bool, who: str | None, as_json: bool, config_path: Path
) -> None:
    """От чего мост отказался: показать, вернуть в работу (retry), снять (drop).

    Коды: 0 — отказов нет или сделано; 1 — отказы есть или номер не найден; 2 — настройка; 3 — база.
    """
    config = load_or_exit(config_path)
    if action != "list" and bool(names) == everything:
        raise Misused(f"назовите номера отказов или скажите --all: amo-bridge failed {action} F21")
    if action == "list" and (names or everything):
        raise Misused("list показывает все отказы; номера нужны для retry и drop")
    with opened(config) as (store, key):
        failures = DeadLetters(AccountStore(store, key), SystemClock())
        try:
            found = _decided(failures, action, None if everything else names, who or user_name())
        except NotFailed as error:
            raise Stop(str(error)) from error
    if as_json:
        click.echo(json.dumps({"failures": [one.to_json() for one in found]}, ensure_ascii=False, indent=2))
    else:
        _show(found, action, ZoneInfo(known_timezone(config, os.environ)))
    sys.exit(THERE_ARE_SOME if action == "list" and found else 0)


def _decided(failures: DeadLetters, action: str, names: tuple[str, ...] | None, who: str) -> list[DeadLetter]:
    if action == "retry":
        return failures.retry(names, who)
    return failures.drop(names, who) if action == "drop" else failures.all()


def _show(found: list[DeadLetter], action: str, zone: ZoneInfo) -> None:
    screen = console()
    if not found:
        screen.print("Отказов нет.")
        return
    title = {"retry": WORDS["retried"].capitalize(), "drop": WORDS["dropped"].capitalize()}.get(action)
    table = Table("Номер", "Когда", "Сделка", "Правило", "Что", "Почему", title=title)
    for one in found:
        when = one.at.astimezone(zone).strftime("%d.%m.%Y %H:%M:%S")
        table.add_row(one.name, when, str(one.deal_id or ""), one.rule, one.what, one.error)
    screen.print(table)
    if action == "list":
        screen.print("Вернуть в работу: amo-bridge failed retry НОМЕР …; снять: amo-bridge failed drop НОМЕР …")
