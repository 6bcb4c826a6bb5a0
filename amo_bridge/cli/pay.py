"""``amo-bridge pay``: the pay sheet of a month as a table, and deals' past read again from amoCRM."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.table import Table

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import (
    config_option,
    console,
    csv_option,
    load_or_exit,
    opened,
    tell_and_exit,
    waiting,
    write_csv,
)
from amo_bridge.cli.violations import MonthType
from amo_bridge.clock import SystemClock
from amo_bridge.config.account_fit import fit
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.events_api import DealChange, deal_changes
from amo_bridge.crm.responses import describe
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.mirror.facts import OWNER, STAGE, Fact, FactLog, field_fact, field_value, stage_value
from amo_bridge.reports.pay import KINDS, Sheet, sheet_of
from amo_bridge.reports.pay_ledger import PayLedger
from amo_bridge.reports.pay_terms import Terms, watched_fields
from amo_bridge.reports.violations import Month
from amo_bridge.runtime.connection import account_client
from amo_bridge.storage.accounts import KnownNames
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import known_account
from amo_bridge.text.csv_table import as_csv
from amo_bridge.text.typography import money

CRM_UNREACHABLE = 4
CHECKBOX = "checkbox"


class Unreachable(Stop):
    """amoCRM does not answer, or refuses."""

    exit_code = CRM_UNREACHABLE


@click.command(cls=Command)
@click.argument("action", type=click.Choice(["show", "rebuild"]), metavar="show|rebuild")
@click.argument("month", type=MonthType(), metavar="ГГГГ-ММ")
@csv_option
@config_option
def pay(action: str, month: Month, csv_file: Path | None, config_path: Path) -> None:
    """Ведомость зарплат: показать (show), прочитать прошлое сделок заново (rebuild).

    rebuild читает события amoCRM с начала месяца до дня, с которого мост сам хранит историю; в amoCRM ничего не меняет.
    Коды: 0 — сделано; 1 — файл не записать; 2 — вызов или настройка; 3 — база; 4 — amoCRM.
    """
    config = load_or_exit(config_path)
    if config.pay is None:
        raise click.UsageError("в настройке нет раздела [pay]: что считать, сказано в docs/pay.md")
    if action == "rebuild" and csv_file is not None:
        raise click.UsageError("--csv нужен для show")
    account = known_account(config, os.environ)
    with opened(config) as (store, key):
        own = AccountStore(store, key)
        if account is None:
            raise Stop("мост ещё не знакомился с аккаунтом: запустите amo-bridge serve")
        config = fit(config, account, KnownNames(own).read()).config
        if action == "rebuild":
            told = _rebuilt(config, account, own, month)
            click.echo(f"Прочитано изменений: {told}. Ведомость за {month} теперь считается по ним")
            return
        sheet = _sheet(config, account, own, month)
    if csv_file is not None:
        rows = [
            (one.person, KINDS[one.kind], one.amount, sheet.currency, f"{one.day:%d.%m.%Y}", one.deal_id, one.deal_name,
             one.words)
            for one in sheet.lines
        ]  # fmt: skip
        head = ("Человек", "Что", "Сумма", "Валюта", "День", "Сделка", "Название", "Основание")
        write_csv(csv_file, as_csv(head, rows), f"строк: {len(rows)}")
    else:
        _show(sheet)


def _sheet(config: Config, account: Account, store: AccountStore, month: Month) -> Sheet:
    """The frozen one of a closed month."""
    ledger = PayLedger(store, SystemClock())
    if (frozen := ledger.frozen(month)) is not None:
        return frozen
    assert config.pay is not None
    calendar = config.calendar.calendar(account.timezone)
    terms = Terms.of(config.pay, account, calendar, config.bridge.secret_fields)
    currency = config.pay.currency or account.currency
    return sheet_of(store, terms, month, datetime.now(UTC), currency, ledger.corrections(month))


def _show(sheet: Sheet) -> None:
    screen = console()
    for number, person in sheet.everybody.items():
        screen.print(f"{person}: {money(sheet.total(number), sheet.currency)}")
    table = Table("Человек", "Что", "Сумма", "День", "Сделка", "Основание")
    for one in sheet.lines:
        deal = f"{one.deal_id} {one.deal_name}" if one.deal_id else ""
        amount = money(one.amount, sheet.currency)
        table.add_row(one.person, KINDS[one.kind], amount, f"{one.day:%d.%m.%Y}", deal, one.words)
    screen.print(table)
    for left in sheet.uncounted:
        screen.print(f"Не посчитано: {KINDS[left.kind]}, {left.deal_id} {left.deal_name}: {left.words}")
    for note in sheet.notes:
        screen.print(note)


def _rebuilt(config: Config, account: Account, store: AccountStore, month: Month) -> int:
    """How many changes amoCRM has told. Raises Stop."""
    log = FactLog(store)
    fields = watched_fields(config.pay, account, config.bridge.secret_fields) or []
    whats = [STAGE, OWNER, *map(field_fact, fields)]
    kept = log.kept_since()
    if missing := [what for what in whats if what not in kept]:
        raise Stop(f"мост ещё не хранит историю ({len(missing)}): запустите его с разделом [pay] и повторите")
    since, end = month.span(config.calendar.calendar(account.timezone).timezone)
    now = datetime.now(UTC)
    # Nothing may be left between what is read and what is kept.
    until = max(min(end, now), *(kept[what] for what in whats))
    checkboxes = {field.id for field in account.fields() if field.type == CHECKBOX}
    try:
        with waiting("Читаю события amoCRM"):
            changes = deal_changes(account_client(config, os.environ), since, until, fields)
            told = facts_listed(changes, checkboxes)
    except ConfigError as error:
        tell_and_exit(error.problems)
    except BridgeError as error:
        raise Unreachable(f"события не прочитаны: {describe(error)}; ведомость осталась, как была") from error
    return log.replace(since, until, told, whats)


def facts_listed(changes: Iterable[DealChange], checkboxes: set[int]) -> list[Fact]:
    """What amoCRM's list tells, the oldest first. ``changes``: the newest first, also of what was within one second."""
    return sorted(reversed(list(_facts(changes, checkboxes))), key=lambda fact: fact.at)


def _facts(changes: Iterable[DealChange], checkboxes: set[int]) -> Iterable[Fact]:
    for one in changes:
        if one.stages is not None and one.stages[1] is not None:
            was = stage_value(*one.stages[0]) if one.stages[0] else ""
            yield Fact(one.deal_id, STAGE, was, stage_value(*one.stages[1]), one.at, one.user_id, "list")
        elif one.owners is not None and one.owners[1] is not None:
            was = str(one.owners[0] or "")
            yield Fact(one.deal_id, OWNER, was, str(one.owners[1]), one.at, one.user_id, "list")
        elif one.field_id is not None:
            before, after = (_value(texts, is_checkbox=one.field_id in checkboxes) for texts in one.texts)
            yield Fact(one.deal_id, field_fact(one.field_id), before, after, one.at, one.user_id, "list")


def _value(texts: tuple[str, ...], *, is_checkbox: bool) -> str:
    value = field_value(texts)
    return "" if is_checkbox and value == "0" else value
