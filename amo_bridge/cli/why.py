"""``amo-bridge why DEAL``: what came about a deal, which rule looked, and what it said."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.table import Column, Table
from sqlalchemy.exc import SQLAlchemyError

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit
from amo_bridge.config.model import Config
from amo_bridge.engine.journal import Entry, Journal
from amo_bridge.errors import BridgeError
from amo_bridge.runtime.connection import known_timezone
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store

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
    config = load_or_exit(config_path)
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
