"""``amo-bridge intake``: vendors' addresses and webhooks; enquiries listed, uploaded, tried again."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened, tell_and_exit, user_name
from amo_bridge.clock import SystemClock
from amo_bridge.errors import ChannelError, ConfigError, StoreUnavailable, why_not
from amo_bridge.intake.connections import API_TOKENS, IntakeConnections
from amo_bridge.intake.enquiries import (
    STATE_WORDS,
    EnquiryFilter,
    EnquiryRepository,
    StoredEnquiry,
    title_of,
)
from amo_bridge.intake.model import PbxCall
from amo_bridge.intake.reception import settings_of
from amo_bridge.intake.repository import IntakeAddresses
from amo_bridge.intake.telephony import NOVOFON_TEMPLATE
from amo_bridge.intake.vk_leads import LeadExports, NotAnExport
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import KeptSecrets, known_timezone

NOT_DONE = 1
LONGEST_TEXT = 60


@click.command(cls=Command)
@config_option
def addresses(config_path: Path) -> None:
    """Куда сервисам присылать обращения: что вставить в их кабинеты."""
    config = load_or_exit(config_path)
    if config.intake is None:
        raise Stop("в настройке нет раздела [intake]: обращения не принимаются")
    base = config.bridge.public_url or "https://АДРЕС-МОСТА"
    lines: list[str] = []
    try:
        for address in IntakeAddresses(config, os.environ).all():
            vendor = address.vendor
            settings = settings_of(config, vendor.name, KeptSecrets(config, os.environ), address.name)
            missing = [one for one in vendor.secrets if not settings.secrets.get(one.name)]
            title = f"{vendor.title} «{address.name}»" if address.name else vendor.title
            # Whole lines, not a table: an address must not be cut where it is to be copied from.
            state = "можно задать и" if vendor.is_address_enough else "закрыто, нет"
            lines += [f"{title}: {base}{address.path}"]
            lines += [f"  {state} {one.variable}: {one.what}" for one in missing]
            lines += [f"  тело уведомления: {NOVOFON_TEMPLATE}"] if vendor.name == "novofon2" else []
            lines += [f"  {vendor.law}"] if vendor.law else []
    except ConfigError as error:
        tell_and_exit(error.problems)
    except (StoreUnavailable, OSError) as error:
        raise Stop(f"секрет адресов не прочитан: {error}") from error
    click.echo("\n".join(lines) or "В разделе [intake] не включён ни один сервис.")


@click.command(cls=Command)
@click.argument("vendor", type=click.Choice(list(API_TOKENS)), metavar="СЕРВИС")
@config_option
def connect(vendor: str, config_path: Path) -> None:
    """Поставить вебхук сервиса по его API.

    СЕРВИС — vk, telegram, max, zadarma, vkads; telegram_staff и max_staff — боты, которые пишут своим.
    meta_leadgen и messenger — подписать страницу; onlinepbx — сказать, что вписать в кабинете.
    Мост в это время должен работать: ВКонтакте и Zadarma сразу проверяют адрес.
    """
    config = load_or_exit(config_path)
    try:
        connection = IntakeConnections(config, KeptSecrets(config, os.environ)).of(vendor)
        if isinstance(connection, str):
            raise Stop(connection)
        for words in connection.connect():
            click.echo(words)
    except ChannelError as error:
        raise Stop(str(error)) from error
    except ConfigError as error:
        tell_and_exit(error.problems)
    except (StoreUnavailable, OSError) as error:
        raise Stop(f"секрет адресов не прочитан: {error}") from error


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path), metavar="ФАЙЛ")
@config_option
@click.option("--check", "only_look", is_flag=True, help="Только сказать, сколько в файле новых.")
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"leads", "new", "is_repeat"}.')
def upload(file: Path, config_path: Path, only_look: bool, as_json: bool) -> None:
    """Загрузить выгрузку лидов VK Рекламы (CSV): новые станут обращениями."""
    config = load_or_exit(config_path)
    if config.intake is None or config.intake.vkads is None:
        raise Stop("в настройке нет раздела [intake.vkads]: лиды VK Рекламы не принимаются")
    try:
        body = file.read_bytes()
    except OSError as error:
        raise Stop(f"файл {file} не читается: {why_not(error)}") from error
    try:
        settings = settings_of(config, "vkads", os.environ)
        with opened(config) as (store, key):
            exports = LeadExports(AccountStore(store, key), settings, SystemClock())
            counted = exports.count(body) if only_look else exports.take(body)
    except ConfigError as error:
        tell_and_exit(error.problems)
    except NotAnExport as error:
        raise Stop(str(error)) from error
    click.echo(json.dumps(asdict(counted)) if as_json else f"{file}: {counted.words}")


@click.command("list", cls=Command)
@click.option("--source", default="", metavar="СЕРВИС", help="Откуда: tilda, vk, zadarma …")
@click.option("--state", type=click.Choice(list(STATE_WORDS)), help="Что стало: new, done, asked, skipped, refused …")
@click.option(
    "--kind", type=click.Choice(["enquiry", "call", "status", "record"]), help="Без ключа — обращения и звонки."
)
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%d.%m.%Y"]), metavar="ДЕНЬ", help="С какого дня.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d", "%d.%m.%Y"]), metavar="ДЕНЬ", help="По какой день.")
@click.option("--deal", "deal_id", type=int, metavar="СДЕЛКА", help="На какой сделке.")
@click.option("--who", "text", default="", metavar="ТЕЛЕФОН|ПОЧТА|ПРОФИЛЬ", help="Чьи.")
@click.option(
    "--most", type=click.IntRange(1, 10_000), default=100, show_default=True, metavar="ЧИСЛО", help="Сколько."
)
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"total": …, "enquiries": [...]}.')
@config_option
def list_enquiries(
    source: str,
    state: str | None,
    kind: str | None,
    since: datetime | None,
    until: datetime | None,
    deal_id: int | None,
    text: str,
    most: int,
    as_json: bool,
    config_path: Path,
) -> None:
    """Обращения и звонки: откуда, кто, что с ними стало. Новые сверху."""
    config = load_or_exit(config_path)
    zone = ZoneInfo(known_timezone(config, os.environ))
    wanted = EnquiryFilter(
        source=source,
        state=state or "",
        kind=kind or "",
        since=_midnight(since, zone) if since else None,
        until=_midnight(until + timedelta(days=1), zone) if until else None,
        deal_id=deal_id,
        text=text,
    )
    with opened(config) as (store, key):
        repository = EnquiryRepository(AccountStore(store, key), SystemClock(), config.calendar.country)
        rows, total = repository.find(wanted, most), repository.count(wanted)
    if as_json:
        found = {"total": total, "enquiries": [row.to_json() for row in rows]}
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        _show(rows, total, zone)


@click.command(cls=Command)
@click.argument("numbers", nargs=-1, type=int, metavar="НОМЕР …")
@click.option("--state", type=click.Choice(["refused", "asked", "skipped", "dry"]), help="Все в этом состоянии.")
@click.option("--who", metavar="ИМЯ", help="Кто решил: попадёт в журнал. Без ключа — имя пользователя системы.")
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"enquiries": [...], "errors": [...]}.')
@config_option
def retry(numbers: tuple[int, ...], state: str | None, who: str | None, as_json: bool, config_path: Path) -> None:
    """Разобрать обращения ещё раз: отказ amoCRM, вопрос человеку, ни одного правила.

    Коды: 0 — сделано; 1 — что-то повторить нельзя; 2 — настройка; 3 — база.
    """
    config = load_or_exit(config_path)
    if bool(numbers) == bool(state):
        raise Stop("назовите номера обращений или состояние: amo-bridge intake retry --state refused")
    with opened(config) as (store, key):
        repository = EnquiryRepository(AccountStore(store, key), SystemClock(), config.calendar.country)
        chosen = numbers or tuple(row.id for row in repository.find(EnquiryFilter(state=state or ""), 10_000))
        done, errors = repository.retry_all(chosen, who or user_name())
    if as_json:
        click.echo(
            json.dumps({"enquiries": [row.to_json() for row in done], "errors": errors}, ensure_ascii=False, indent=2)
        )
    else:
        click.echo("\n".join([f"Обращение № {row.id} разбирается ещё раз." for row in done] + errors) or "Таких нет.")
    sys.exit(NOT_DONE if errors else 0)


def _midnight(day: datetime, zone: ZoneInfo) -> datetime:
    return datetime.combine(day.date(), time(), zone)


def _show(rows: list[StoredEnquiry], total: int, zone: ZoneInfo) -> None:
    screen = console()
    if not rows:
        screen.print("Обращений нет.")
        return
    table = Table("№", "Когда", "Откуда", "Кто", "Что сказал", "Что стало", "Сделка")
    for row in rows:
        when = datetime.fromtimestamp(row.received_at, zone).strftime("%d.%m.%Y %H:%M")
        told = "; ".join(filter(None, [STATE_WORDS[row.state], row.outcome, row.error]))
        deal = str(row.deal_id) if row.deal_id else ""
        table.add_row(str(row.id), when, title_of(row.source), _who(row), _words(row), told, deal)
    screen.print(table)
    if total > len(rows):
        screen.print(f"Показаны {len(rows)} из {total}: --most {total} покажет все.")


def _who(row: StoredEnquiry) -> str:
    known = row.enquiry
    if known is None:
        return row.body.phone or "" if isinstance(row.body, PbxCall) else ""
    return ", ".join(filter(None, [known.name, *known.phones, *known.emails])) or known.profile or ""


def _words(row: StoredEnquiry) -> str:
    if isinstance(row.body, PbxCall):
        way = "входящий" if row.body.direction == "in" else "исходящий"
        return f"{way} звонок, {row.body.duration} с" if row.body.talked else f"{way} звонок без разговора"
    words = " ".join((row.enquiry.text if row.enquiry else "").split())
    return words if len(words) <= LONGEST_TEXT else f"{words[:LONGEST_TEXT]}…"
