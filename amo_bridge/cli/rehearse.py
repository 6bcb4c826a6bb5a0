"""``amo-bridge rehearse --days N`` and ``snapshot``: rules played on a copy of the account."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import (
    config_option,
    console,
    csv_option,
    has_one_voice,
    load_or_exit,
    tell_and_exit,
    waiting,
    write_csv,
)
from amo_bridge.config.model import Config
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.responses import describe
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.rehearsal.known_state import recalled, without_texts
from amo_bridge.rehearsal.results import SimulatedAction, by_day, day_title, sheet
from amo_bridge.rehearsal.simulation import rehearsing
from amo_bridge.rehearsal.snapshot import (
    Head,
    Masking,
    Source,
    account_of,
    example,
    from_account,
    from_file,
    rows_of,
    write,
)
from amo_bridge.runtime.connection import account_client
from amo_bridge.sandbox.account_file import SHIPPED


@click.command(cls=Command)
@config_option
@click.option(
    "--days", type=click.IntRange(1, 366), default=30, metavar="ДНЕЙ", help="На сколько вперёд; без ключа 30."
)
@click.option("--deal", "deal_id", type=int, metavar="СДЕЛКА", help="Только эта сделка.")
@click.option("--snapshot", "file", type=click.Path(path_type=Path), metavar="ФАЙЛ", help="Снимок вместо аккаунта.")
@click.option(
    "--example",
    "example_name",
    type=click.Choice(tuple(SHIPPED)),
    is_flag=False,
    flag_value="agency",
    metavar="[ИМЯ]",
    help=f"Учебный аккаунт вместо своего, amoCRM не нужна: {', '.join(SHIPPED)}; без имени — agency.",
)
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), metavar="ДАТА", help="Считать, что правила включены с этого дня."
)
@click.option("--without-enquiries", is_flag=True, help="Без обращений: прежние не приходят ещё раз.")
@click.option("--json", "as_json", is_flag=True, help="Вывести JSON.")
@csv_option
def rehearse(
    config_path: Path,
    days: int,
    deal_id: int | None,
    file: Path | None,
    example_name: str | None,
    since: datetime | None,
    without_enquiries: bool,
    as_json: bool,
    csv_file: Path | None,
) -> None:
    """Репетиция: что правила сделают с кем и когда, если люди ничего не тронут.

    Аккаунт читается и копируется в местную amoCRM, часы переводятся вперёд. В самом аккаунте не меняется ничего, писем
    и уведомлений никто не получает. Правила «вхолостую» здесь действуют как настоящие; выключенные молчат. Сделки,
    которые пришли на этап до включения правила, идут по его existing; с какого дня правило включено, мост помнит сам,
    а чтобы узнать, что было бы, если бы оно было включено раньше, есть ключ --since. Обращения прошлых недель приходят
    ещё раз, в те же дни недели и часы: у кого сделка уже есть, тому примечание.
    """
    has_one_voice(csv_file, as_json=as_json)
    config = load_or_exit(config_path)
    try:
        source = _source(config, deal_id, file, example_name)
        zone = ZoneInfo(source.timezone)
        if since is not None:
            source = source.with_rules_on_since(config, since.replace(tzinfo=zone))
        if without_enquiries:
            source = replace(source, known={**source.known, "enquiries": []})
        deeds = _played(config, source, days, deal_id, zone)
    except ConfigError as error:
        tell_and_exit(error.problems)
    except (BridgeError, OSError) as error:
        raise Stop(describe(error)) from error
    names = source.deal_names()
    told = [deed.to_json(zone, names) for deed in deeds]
    if csv_file is not None:
        write_csv(csv_file, sheet(told), f"действий: {len(told)}", as_json=as_json)
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    elif csv_file is None:
        _print(deeds, zone, names, days)


def _source(config: Config, deal_id: int | None, file: Path | None, example_name: str | None) -> Source:
    if file is not None:
        return from_file(file)
    now = datetime.now(UTC)
    if example_name is not None:
        return example(now, SHIPPED[example_name]).with_rules_on_since(config, now)
    return from_account(account_client(config, os.environ), now, recalled(config, now, deal_id), deal_id)


def _played(config: Config, source: Source, days: int, deal_id: int | None, zone: ZoneInfo) -> list[SimulatedAction]:
    with (
        tempfile.TemporaryDirectory(prefix="amo-bridge-rehearsal-") as folder,
        rehearsing(config, source.world, Path(folder), source.taken_at, source.known, days=days) as play,
        waiting("репетиция") as shown,
    ):
        play.until(
            source.taken_at + timedelta(days=days), lambda moment: shown(f"репетиция: {day_title(moment, zone)}")
        )
        return play.actions(deal_id)


def _print(deeds: Sequence[SimulatedAction], zone: ZoneInfo, names: dict[int, str], days: int) -> None:
    screen = console()
    if not deeds:
        screen.print(f"За {days} дн. правила ничего не сделают: ни один срок не наступает.")
        return
    table = Table("Когда", "Сделка", "Правило", "Что сделает", title=f"Репетиция: {days} дн.", show_lines=True)
    for day, of_day in by_day(deeds, zone):
        for number, deed in enumerate(of_day):
            when = f"{day}\n{deed.at.astimezone(zone):%H:%M}" if number == 0 else f"{deed.at.astimezone(zone):%H:%M}"
            who = f"{names.get(deed.deal_id, '')}\n{deed.deal_id}"
            does = "\n".join(deed.does) or f"не сможет: {deed.trouble}"
            table.add_row(when, who, f"{deed.clause} {deed.rule}".strip(), does)
    screen.print(table)
    screen.print(f"Действий: {len(deeds)}. Что люди передвинут, закроют и заполнят, репетиция не знает.")


# The account in a file, for rehearsals.

KINDS = {"companies": "компании", "contacts": "контакты", "leads": "сделки", "tasks": "задачи"}


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), metavar="ФАЙЛ")
@config_option
@click.option("--masked", is_flag=True, help="Заменить имена, телефоны, почту и тексты клиентов выдуманными.")
@click.option("--keep", "kept", multiple=True, metavar="ПОЛЕ", help="Поле, которое с --masked остаётся как есть.")
def snapshot(file: Path, config_path: Path, masked: bool, kept: tuple[str, ...]) -> None:
    """Снять аккаунт в файл: для репетиции (amo-bridge rehearse).

    В файле воронки, сделки, контакты и открытые задачи.

    Ничего не меняет. Без --masked в файле данные клиентов: берегите его.
    """
    config = load_or_exit(config_path)
    try:
        client = account_client(config, os.environ)
        account = account_of(client)
        now = datetime.now(UTC)
        known = recalled(config, now)
        head = Head(config.account.url, now, masked, account, without_texts(known) if masked else known)
        with waiting("читаем аккаунт") as show:
            count = write(file, head, _rows(client, show, _masking(account, kept) if masked else None))
    except ConfigError as error:
        raise Stop("; ".join(error.problems)) from error
    except (BridgeError, OSError) as error:
        raise Stop(f"снимок не сделан: {describe(error)}") from error
    click.echo(f"Снимок готов: {file} (записей: {count})")
    if not masked:
        click.echo("В нём данные клиентов: берегите его. Без них — ключ --masked.")


def _masking(account: dict[str, Any], kept: tuple[str, ...]) -> Masking:
    users = [str(user.get("name")) for user in account["users"]]
    return Masking(users, kept)


def _rows(
    client: CrmClient, show: Callable[[str], None], masking: Masking | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, row in rows_of(client, lambda kind, rows: show(f"{KINDS[kind]}: прочитано {rows}")):
        yield kind, masking.masked(kind, row) if masking else row
