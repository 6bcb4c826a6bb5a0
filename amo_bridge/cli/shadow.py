"""``amo-bridge shadow``: what rules in dry run would have done."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened
from amo_bridge.config.model import Config
from amo_bridge.engine.history import Would, would_have
from amo_bridge.runtime.connection import known_timezone
from amo_bridge.storage.database import AccountStore
from amo_bridge.text.names import nearest


@click.command(cls=Command)
@config_option
@click.option(
    "--days", type=click.IntRange(1, 366), default=14, metavar="ДНЕЙ", help="За сколько последних; без ключа 14."
)
@click.option("--rule", metavar="ПРАВИЛО", help="Только это правило, например stage_creates_tasks.new_client.")
@click.option("--json", "as_json", is_flag=True, help="Вывести JSON.")
def shadow(config_path: Path, days: int, rule: str | None, as_json: bool) -> None:
    """Что сделали бы правила, которые работают вхолостую (dry_run): по правилам и сделкам."""
    config = load_or_exit(config_path)
    if rule is not None:
        _must_be_known(config, rule)
    with opened(config) as (store, key):
        told = would_have(AccountStore(store, key), datetime.now(UTC) - timedelta(days=days), rule)
    zone = ZoneInfo(known_timezone(config, os.environ))
    if as_json:
        click.echo(json.dumps([_as_json(one, zone) for one in told], ensure_ascii=False, indent=2))
    else:
        _print(config, told, days, zone)


def _must_be_known(config: Config, rule: str) -> None:
    known = [one.name for one in config.rules]
    if rule not in known:
        near = nearest(rule, known)
        raise Stop(f"правила «{rule}» в настройке нет" + (f"; может быть, «{near}»?" if near else ""))


def _as_json(one: Would, zone: ZoneInfo) -> dict[str, object]:
    return {
        "at": one.at.astimezone(zone).isoformat(),
        "rule": one.rule,
        "clause": one.clause,
        "deal": one.deal_id,
        "because": one.because,
        "does": list(one.does),
    }


def _print(config: Config, told: Sequence[Would], days: int, zone: ZoneInfo) -> None:
    screen = console()
    if not told:
        is_any = config.bridge.dry_run or any(rule.dry_run and rule.enabled for rule in config.rules)
        advice = "" if is_any else " Вхолостую не работает ни одно: dry_run = true в блоке правила или в [bridge]."
        screen.print(f"За {days} дн. правила вхолостую ничего не сделали бы.{advice}")
        return
    table = Table("Правило", "Сделка", "Когда", "Что сделало бы", title=f"Вхолостую за {days} дн.", show_lines=True)
    for one in told:
        when = one.at.astimezone(zone).strftime("%d.%m.%Y %H:%M")
        table.add_row(f"{one.clause} {one.rule}".strip(), str(one.deal_id), when, "\n".join(one.does))
    screen.print(table)
    sums = Counter(one.rule for one in told)
    for name, times in sums.most_common():
        deals = len({one.deal_id for one in told if one.rule == name})
        screen.print(f"{name}: раз {times}, сделок {deals}")
