"""``amo-bridge channels``: connected vendors, what was sent last, errors, the price of an SMS."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from amo_bridge.channels.sms_services import SmsService
from amo_bridge.channels.vendor_states import ChannelState, VendorStates
from amo_bridge.channels.vendors import connected_vendors, vendor_of
from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened, tell_and_exit
from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.errors import ChannelError, ConfigError
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import KeptSecrets, known_timezone
from amo_bridge.text.sms_size import sms_size

NOT_CONNECTED = "не подключён"
BUILT_IN = "сам мост"


@click.command(cls=Command)
@click.option("--ask", is_flag=True, help="Ещё и спросить каждого поставщика: пускает ли, сколько на счёте.")
@click.option("--sms", "text", metavar="ТЕКСТ", help="Сколько частей займёт SMS; с --phone — и сколько будет стоить.")
@click.option("--phone", metavar="НОМЕР", help="Кому: цену говорит сервис, ничего не отправляется.")
@click.option("--json", "as_json", is_flag=True, help='Для программ: {"channels": [...]}.')
@config_option
def channels(ask: bool, text: str | None, phone: str | None, as_json: bool, config_path: Path) -> None:
    """Каналы: что подключено, когда ушло последнее, что не вышло и что с этим делать.

    Смотрит в базу моста и никого не спрашивает; с --ask спрашивает каждого поставщика.
    """
    config = load_or_exit(config_path)
    if text is not None:
        click.echo(_sms_price(config, text, phone))
        return
    with opened(config) as (store, account):
        states = VendorStates(AccountStore(store, account), SystemClock()).read(vendor_of(config))
    answers = dict(_asked(config)) if ask else {}
    if as_json:
        click.echo(json.dumps({"channels": [_plain(one, answers) for one in states]}, ensure_ascii=False, indent=2))
        return
    console().print(_table(states, ZoneInfo(known_timezone(config, os.environ))))
    for vendor, words in answers.items():
        click.echo(f"[{vendor}] {words}")


def _sms_price(config: Config, text: str, phone: str | None) -> str:
    size = sms_size(text)
    told = size.words + ("" if size.is_latin else "; не латиница, поэтому в части меньше знаков")
    if phone is None:
        return told
    try:
        for vendor in connected_vendors(config):
            if "sms" in vendor.ports:
                service: SmsService = vendor.client_of(config, KeptSecrets(config, os.environ))
                price = service.price(phone, text)
                return f"{told}; цена {'неизвестна' if price is None else f'{price:g}'} ([{vendor.section}])"
    except ChannelError as error:
        raise Stop(str(error)) from error
    except ConfigError as error:
        tell_and_exit(error.problems)
    raise Stop("SMS не подключены: нет ни [smsru], ни [smsc] (docs/channels.md)")


def _asked(config: Config) -> Iterator[tuple[str, str]]:
    """Section → what the vendor answers."""
    environment = KeptSecrets(config, os.environ)
    for vendor in connected_vendors(config):
        try:
            problem = vendor.secret_problem(environment)
            yield vendor.section, problem or vendor.client_of(config, environment).check()
        except ChannelError as error:
            yield vendor.section, f"не вышло: {error}"
        except ConfigError as error:
            yield vendor.section, f"не вышло: {'; '.join(error.problems)}"


def _table(states: list[ChannelState], zone: ZoneInfo) -> Table:
    table = Table("Канал", "Чем", "Подключён с", "Ушло последнее", "Ждёт", "Последняя ошибка и что делать", "Счёт")
    for one in states:
        trouble = "; ".join(part for part in (_moment(one.error_at, zone), one.error, one.advice) if part)
        balance = "" if one.balance is None else f"{one.balance:g}"
        table.add_row(
            one.label,
            _vendor(one),
            _moment(one.since, zone),
            _moment(one.sent_at, zone),
            str(one.waiting or ""),
            trouble,
            balance,
        )
    return table


def _vendor(one: ChannelState) -> str:
    return NOT_CONNECTED if not one.vendor else BUILT_IN if one.vendor == "bridge" else f"[{one.vendor}]"


def _moment(moment: datetime | None, zone: ZoneInfo) -> str:
    return "" if moment is None else moment.astimezone(zone).strftime("%d.%m.%Y %H:%M")


def _plain(one: ChannelState, answers: dict[str, str]) -> dict[str, Any]:
    def when(moment: datetime | None) -> str | None:
        return None if moment is None else moment.isoformat()

    return {
        "channel": one.name,
        "label": one.label,
        "vendor": one.vendor or None,
        "since": when(one.since),
        "sent_at": when(one.sent_at),
        "waiting": one.waiting,
        "error_at": when(one.error_at),
        "error": one.error,
        "advice": one.advice,
        "balance": one.balance,
        "answer": answers.get(one.vendor),
    }
