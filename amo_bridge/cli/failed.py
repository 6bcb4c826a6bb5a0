"""``amo-bridge failed``: what the bridge gave up on, and what is to become of it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.table import Table
from rich.text import Text

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened, user_name
from amo_bridge.clock import SystemClock
from amo_bridge.engine.dead_letters import WORDS, DeadLetter, DeadLetters, NotFailed
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import known_timezone
from amo_bridge.web.services.failures import FailureGroup, group_of, grouped, names_in_group

THERE_ARE_SOME = 1
# Of one reason; the first ones show what it is about.
SHOWN_OF_GROUP = 10


class Misused(Stop):
    """The command makes no sense as it was given."""

    exit_code = 2


@click.command(cls=Command)
@click.argument("action", type=click.Choice(["list", "retry", "drop"]), default="list", metavar="[list|retry|drop]")
@click.argument("names", nargs=-1, metavar="[НОМЕР …]")
@click.option("--group", "key", metavar="ПРИЧИНА", help="Все отказы по одной причине; её имя стоит в списке.")
@click.option("--all", "everything", is_flag=True, help="Все отказы; в списке — и те, что не поместились.")
@click.option("--who", metavar="ИМЯ", help="Кто решил: попадёт в журнал. Без ключа — имя пользователя системы.")
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"failures": [...]}.')
@config_option
def failed(
    action: str,
    names: tuple[str, ...],
    key: str | None,
    everything: bool,
    who: str | None,
    as_json: bool,
    config_path: Path,
) -> None:
    """От чего мост отказался, по причинам: показать, вернуть в работу (retry), снять (drop).

    Коды: 0 — отказов нет или сделано; 1 — отказы есть или номер не найден; 2 — настройка; 3 — база.
    """
    config = load_or_exit(config_path)
    if action != "list" and sum((bool(names), key is not None, everything)) != 1:
        raise Misused(
            f"назовите номера отказов, причину или скажите --all: amo-bridge failed {action} F21, "
            f"amo-bridge failed {action} --group person"
        )
    if action == "list" and (names or key):
        raise Misused("list показывает все отказы; номера и --group нужны для retry и drop")
    with opened(config) as (store, account_id):
        failures = DeadLetters(AccountStore(store, account_id), SystemClock())
        try:
            wanted = None if everything else _of_group(failures, key) if key else names
            found = _decided(failures, action, wanted, who or user_name())
        except NotFailed as error:
            raise Stop(str(error)) from error
    if as_json:
        rows = [one.to_json() | _explained(group_of(one.error)) for one in found]
        click.echo(json.dumps({"failures": rows}, ensure_ascii=False, indent=2))
    else:
        _show(found, action, ZoneInfo(known_timezone(config, os.environ)), is_whole=everything or action != "list")
    sys.exit(THERE_ARE_SOME if action == "list" and found else 0)


def _of_group(failures: DeadLetters, key: str) -> tuple[str, ...]:
    """The names of all failures of a reason. Raises NotFailed."""
    there = failures.all()
    if not (names := names_in_group(there, key)):
        known = ", ".join(group.key for group in grouped(there)) or "отказов нет"
        raise NotFailed(f"по причине «{key}» отказов нет; есть: {known}")
    return tuple(names)


def _explained(group: FailureGroup) -> dict[str, str]:
    return {"group": group.key, "reason": group.reason, "advice": group.advice}


def _decided(failures: DeadLetters, action: str, names: tuple[str, ...] | None, who: str) -> list[DeadLetter]:
    if action == "retry":
        return failures.retry(names, who)
    return failures.drop(names, who) if action == "drop" else failures.all()


def _show(found: list[DeadLetter], action: str, zone: ZoneInfo, *, is_whole: bool) -> None:
    screen = console()
    if not found:
        screen.print("Всё выполнено.")
        return
    if title := {"retry": WORDS["retried"].capitalize(), "drop": WORDS["dropped"].capitalize()}.get(action):
        screen.print(f"{title}: {len(found)}")
    for group in grouped(found):
        screen.print(f"\n{group.reason} ({len(group.failures)})", markup=False)
        if action == "list":
            screen.print(group.advice, markup=False)
        shown = group.failures if is_whole else group.failures[:SHOWN_OF_GROUP]
        screen.print(_table(shown, zone))
        if hidden := len(group.failures) - len(shown):
            screen.print(f"… и ещё {hidden}: amo-bridge failed --all")
        if action == "list":
            screen.print(f"Все такие: amo-bridge failed retry --group {group.key} (или drop)", markup=False)
    if action == "list":
        screen.print(
            "\nПо одному: amo-bridge failed retry НОМЕР …; снять: amo-bridge failed drop НОМЕР …", markup=False
        )


def _table(failures: list[DeadLetter], zone: ZoneInfo) -> Table:
    table = Table("Номер", "Когда", "Сделка", "Правило", "Что не сделано", "Почему")
    for one in failures:
        when = one.at.astimezone(zone).strftime("%d.%m.%Y %H:%M:%S")
        what = f"{one.what} (ждёт {one.after})" if one.after else one.what
        table.add_row(*map(Text, (one.name, when, str(one.deal_id or ""), one.rule, what, one.error)))
    return table
