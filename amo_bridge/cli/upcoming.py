"""``amo-bridge upcoming``: the steps that are due next, day by day, in the account's local time."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened
from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.dates.duration import describe_step
from amo_bridge.engine.forecast import Coming, Upcoming
from amo_bridge.rules.handler import Schedule
from amo_bridge.runtime.connection import known_timezone
from amo_bridge.storage.database import AccountStore
from amo_bridge.text.names import nearest

LONGEST = 3650
WEEKDAYS_IN_RUSSIAN = ("пн", "вт", "ср", "чт", "пт", "сб", "вс")


@click.command(cls=Command)
@click.option("--days", type=click.IntRange(1, LONGEST), default=7, metavar="ДНЕЙ", help="На сколько дней вперёд (7).")
@click.option("--rule", metavar="ПРАВИЛО", help="Только шаги этого правила: stage_ladder.brief_awaited.")
@click.option("--deal", type=int, metavar="СДЕЛКА", help="Только шаги этой сделки.")
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"now": …, "steps": [...]}.')
@config_option
def upcoming(days: int, rule: str | None, deal: int | None, as_json: bool, config_path: Path) -> None:
    """Что подойдёт по часам: шаги лестниц и дат на ближайшие дни."""
    config = load_or_exit(config_path)
    if rule is not None:
        _some_schedule(config, rule)
    with opened(config) as (store, key):
        steps = Upcoming(AccountStore(store, key), config.rules, SystemClock())
        now, found = steps.now(), steps.within(timedelta(days=days), rule=rule, deal_id=deal)
    if as_json:
        told = {"now": now.isoformat(), "steps": [one.to_json() for one in found]}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        _show(found, now, days, ZoneInfo(known_timezone(config, os.environ)))


def _some_schedule(config: Config, name: str) -> None:
    known = [rule.name for rule in config.rules if isinstance(rule.handler, Schedule)]
    if name not in known:
        close = nearest(name, known)
        raise Stop(f"правила по часам {name} нет" + (f"; может быть, {close}?" if close else ""))


def _show(found: list[Coming], now: datetime, days: int, zone: ZoneInfo) -> None:
    screen = console()
    if not found:
        screen.print(f"В ближайшие дни ({days}) по часам ничего не подойдёт.")
        return
    table = Table("Когда", "Пункт", "Правило", "Шаг", "Сделка")
    for _, of_day in groupby(found, lambda one: one.due.astimezone(zone).date()):
        steps = list(of_day)
        local = steps[0].due.astimezone(zone)
        table.add_section()
        table.add_row(f"{WEEKDAYS_IN_RUSSIAN[local.weekday()]} {local:%d.%m.%Y}", "", "", "", "")
        for one in steps:
            late = ", уже пора" if one.due <= now else ""
            when = f"  {one.due.astimezone(zone):%H:%M}{late}"
            table.add_row(when, one.clause, one.rule, describe_step(one.step), f"{one.deal_id} {one.deal_name}")
    screen.print(table)
