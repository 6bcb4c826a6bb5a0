"""Commands about what rules did and will do: ``amo-bridge why``, ``upcoming``, ``shadow``."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click
from rich.table import Column, Table
from sqlalchemy.exc import SQLAlchemyError

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened
from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.dates.duration import describe_step
from amo_bridge.engine.history import Would, would_have
from amo_bridge.engine.journal import Entry, Journal
from amo_bridge.errors import BridgeError
from amo_bridge.rules.handler import Schedule
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.secrets import known_timezone
from amo_bridge.text.names import nearest

if TYPE_CHECKING:
    from amo_bridge.engine.forecast import Coming

VERDICTS = {
    "acts": "сделало",
    "would_act": "сделало бы",
    "skipped": "ничего",
    "awaits": "ждёт срока",
    "failed": "СБОЙ",
    "held": "ОСТАНОВЛЕНО",
    "came": "",
    "retried": "вручную",
    "dropped": "вручную",
    "at_work": "в работе",
    "refused": "ОТКАЗ",
    "unsent": "НЕ ОТПРАВЛЕНО",
    "unknown": "НЕИЗВЕСТНО",
    "partly": "частично",
}
STATES = {
    "done": "готово", "ready": "ждёт отправки", "waiting": "ждёт", "sending": "отправляется",
    "doubt": "проверяется", "failed": "ОТКАЗ", "unsent": "НЕ ОТПРАВЛЕНО", "unknown": "НЕИЗВЕСТНО",
    "dry": "вхолостую", "dropped": "снято вручную",
}  # fmt: skip


@click.command(cls=Command)
@click.argument("deal", type=int, metavar="СДЕЛКА")
@click.option("--acted", is_flag=True, help="Только то, что привело к делу: без правил, которые ничего не сделали.")
@config_option
def why(deal: int, acted: bool, config_path: Path) -> None:
    """История сделки: что пришло, какое правило смотрело и что решило."""
    config = load_or_exit(config_path, rules=False)
    if not config.bridge.database and not config.data_folder.is_dir():
        raise Stop(f"журнала ещё нет: его ведёт работающий мост (amo-bridge serve) в папке {config.data_folder}")
    try:
        entries = _entries(deal, config)
    except (BridgeError, OSError, SQLAlchemyError) as error:
        raise Stop(f"журнал не читается: {getattr(error, 'orig', error)}") from error
    if acted:
        entries = _that_acted(entries)
    console().print(_table(deal, entries, ZoneInfo(known_timezone(config, os.environ))))


def _entries(deal: int, config: Config) -> list[Entry]:
    store = Store.at(config.bridge.database, config.data_folder)
    try:
        store.prepare()
        key = known_key(store, config.account.url)
        entries = Journal(AccountStore(store, key)).of_deal(deal) if key else []
    finally:
        store.close()
    if not entries:
        raise Stop(
            f"о сделке {deal} в журнале ничего нет. Журнал ведёт работающий мост (amo-bridge serve); "
            f"база: {store.address}, аккаунт: {config.account.url}"
        )
    return entries


def _that_acted(entries: list[Entry]) -> list[Entry]:
    """What rules or people did, and what it came from; an event that led to nothing is left out with its rules."""
    fruitful = {entry.event_id for entry in entries if entry.verdict not in ("came", "skipped")} | {None}
    return [entry for entry in entries if entry.verdict != "skipped" and entry.event_id in fruitful]


def _table(deal: int, entries: list[Entry], zone: ZoneInfo) -> Table:
    # A name that is cut short can't be looked up in the config: it is folded.
    rule = Column("Правило", overflow="fold")
    table = Table("Когда", "Что произошло", rule, "Решило", "Почему, что сделано", title=f"Сделка {deal}")
    for entry in entries:
        when = entry.at.astimezone(zone).strftime("%d.%m.%Y %H:%M:%S")
        done = [f"{STATES[state]}: {words}" + (f" — {error}" if error else "") for words, state, error in entry.effects]
        told = "\n".join(filter(None, [entry.reason, *done]))
        table.add_row(when, entry.what, f"{entry.clause} {entry.rule}".strip(), VERDICTS[entry.outcome], told)
    return table


# What the rules will do next.

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
        from amo_bridge.engine.forecast import Upcoming

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


# What rules in dry run would have done.


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
