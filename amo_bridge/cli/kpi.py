"""``amo-bridge kpi``: what each person did in a month as a table, and the past read again from amoCRM."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
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
from amo_bridge.cli.pay import Unreachable
from amo_bridge.cli.violations import MonthType
from amo_bridge.config.account_fit import fit
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.events_api import touches_before
from amo_bridge.crm.responses import describe
from amo_bridge.errors import BridgeError, ConfigError, StoreUnavailable
from amo_bridge.mirror.touches import record_touches
from amo_bridge.reports.kpi import Figures, in_words, shown_people, summed
from amo_bridge.reports.kpi_days import KpiDays, Way
from amo_bridge.reports.pipedrive import figures_there, together
from amo_bridge.reports.violations import Month
from amo_bridge.runtime.connection import account_client
from amo_bridge.storage.accounts import KnownNames
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import known_account
from amo_bridge.text.csv_table import as_csv

HEAD = (
    "Человек", "Новые клиенты", "Обработано", "Разговоры", "Не дозвонились", "Письма", "Задачи", "Продажи", "Сумма",
    "Потеряно", "Почему потеряно",
)  # fmt: skip


@click.command(cls=Command)
@click.argument("action", type=click.Choice(["show", "rebuild"]), metavar="show|rebuild")
@click.argument("month", type=MonthType(), metavar="ГГГГ-ММ")
@csv_option
@config_option
def kpi(action: str, month: Month, csv_file: Path | None, config_path: Path) -> None:
    """KPI за месяц: показать (show), прочитать сделанное за месяц заново (rebuild).

    rebuild читает события amoCRM за этот месяц: что было до моста или пока он не работал; в amoCRM ничего не меняет.
    Коды: 0 — сделано; 1 — файл не записать, считать уже не по чему; 2 — вызов или настройка; 3 — база; 4 — amoCRM.
    """
    config = load_or_exit(config_path)
    if action == "rebuild" and csv_file is not None:
        raise click.UsageError("--csv нужен для show")
    account = known_account(config, os.environ)
    with opened(config) as (store, key):
        own = AccountStore(store, key)
        if account is None:
            raise Stop("мост ещё не знакомился с аккаунтом: запустите amo-bridge serve")
        config = fit(config, account, KnownNames(own).read()).config
        zone = config.calendar.calendar(account.timezone).timezone
        way = Way.of(zone, config.kpi.talk_seconds, account)
        now = datetime.now(UTC)
        days = [day for day in month.days if day <= way.today(now)]
        if not days:
            raise click.UsageError(f"{month} ещё не наступил")
        if action == "rebuild":
            _rebuild(config, own, way, month, days, now)
            return
        rows = _rows(config, own, account, way, days, now)
    if csv_file is not None:
        write_csv(csv_file, as_csv(HEAD, rows), f"строк: {len(rows)}")
        return
    # Reasons stand below: the table is wide as it is, and names must stay whole.
    table = Table()
    for number, title in enumerate(HEAD[:-1]):
        table.add_column(title, no_wrap=number == 0)
    for row in rows:
        table.add_row(*map(str, row[:-1]))
    console().print(table)
    for name, *_, why in rows:
        if why:
            console().print(f"{name}, {HEAD[-1].lower()}: {why}", markup=False)


def _rows(
    config: Config, store: AccountStore, account: Account, way: Way, days: Sequence[date], now: datetime
) -> list[tuple[str | int, ...]]:
    """The same figures as the page's."""
    found = KpiDays(store, way).figures(days, now)
    midnights, end = {day: way.midnight(day) for day in days}, way.midnight(days[-1] + timedelta(days=1))
    there = figures_there(store, config.channels.pipedrive, account, midnights, end)
    sums = summed((together(found, there.days) if there else found).values())
    people = shown_people(config.kpi.people, {person.id: person.name for person in account.users}, sums)
    told = [(name, sums.get(number, Figures())) for number, name in people.items()]
    return [
        (
            name, one.contacts, one.worked, one.talks, one.unanswered, one.letters, one.tasks, one.sales, one.amount,
            one.lost, in_words(one.lost_by),
        )
        for name, one in told
    ]  # fmt: skip


def _rebuild(config: Config, store: AccountStore, way: Way, month: Month, days: Sequence[date], now: datetime) -> None:
    """Read what was done on these days, and count them anew. Raises Stop."""
    kept = KpiDays(store, way)
    final = {day for day in days if kept.is_final(day, now)}
    if len(final) == len(days):
        raise Stop(f"{month} уже сосчитан, а касания тех дней мост забыл: события amoCRM знают меньше, цифры остались")
    told = _read_again(config, store, way, days)
    for day in days:
        if day < way.today(now) and day not in final:
            kept.count(day, now)
    click.echo(f"Прочитано событий: {told}. KPI за {month} теперь считается по ним")
    if final:
        click.echo(f"Дней, которые остались, как были сосчитаны: {len(final)} — их касания мост уже забыл")


def _read_again(config: Config, store: AccountStore, way: Way, days: Sequence[date]) -> int:
    """How many events amoCRM has told; what of them is a touch is kept. Raises Stop."""
    since, until = way.midnight(days[0]), way.midnight(days[-1] + timedelta(days=1)) - timedelta(seconds=1)
    count = 0
    rest: datetime | None = until
    try:
        client = account_client(config, os.environ)
        with waiting("Читаю события amoCRM"):
            while rest is not None and rest >= since:
                told, rest = touches_before(client, since, rest)
                with store.write() as connection:
                    record_touches(connection, store.account_id, told)
                count += len(told)
    except ConfigError as error:
        tell_and_exit(error.problems)
    except StoreUnavailable:
        raise
    except BridgeError as error:
        raise Unreachable(
            f"события не прочитаны: {describe(error)}; что успели прочесть, сохранено, повторите"
        ) from error
    return count
