"""Access commands: ``amo-bridge connect``, ``password``, ``telegram``, ``max``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from amo_bridge.channels.messengers import Chat, Messenger
from amo_bridge.channels.vendors import MAX, TELEGRAM, Vendor
from amo_bridge.cli.click_ru import Command, Group, Stop
from amo_bridge.cli.common import config_option, console, load_or_exit, opened, tell_and_exit
from amo_bridge.clock import SystemClock
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.crm.responses import describe
from amo_bridge.errors import BridgeError, ChannelError, ChannelRefused, ConfigError, StoreUnavailable
from amo_bridge.intake.repository import IntakeRequests
from amo_bridge.runtime.connection import CALLBACK, TOKEN, known_secret, redirect_uri
from amo_bridge.runtime.oauth_flow import Connecting
from amo_bridge.server.options import left_in
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.secrets import KeptSecrets
from amo_bridge.text.names import nearest
from amo_bridge.web.auth.audit import Audit
from amo_bridge.web.auth.users import Links, Users, fold


@click.command(cls=Command)
@config_option
@click.option("--code", metavar="КОД", help="Код из окна интеграции («Ключи и доступы»); действует 20 минут.")
def connect(config_path: Path, code: str | None) -> None:
    """Подключить аккаунт по OAuth: ссылкой или кодом из окна интеграции.

    С долгосрочным токеном (AMO_BRIDGE_TOKEN) подключать нечего. Код выхода: 0 — сделано; 1 — не вышло; 2 — настройка
    не годится.
    """
    config = load_or_exit(config_path)
    try:
        if secret(os.environ, TOKEN):
            raise Stop(f"задан {TOKEN}: мост работает с долгосрочным токеном. Уберите его, если нужен OAuth")
        store = Store.at(config.bridge.database, config.data_folder)
        try:
            store.prepare()
            _connect(config, Connecting(config, os.environ, store), code)
        finally:
            store.close()
    except ConfigError as error:
        tell_and_exit(error.problems)
    except (BridgeError, OSError) as error:
        raise Stop(describe(error)) from error


def _connect(config: Config, connecting: Connecting, code: str | None) -> None:
    if code is not None:
        connecting.exchange(code)
        click.echo(f"Аккаунт {connecting.account} подключён")
        return
    back = redirect_uri(config, os.environ)
    link, page = connecting.new_link(), connecting.new_page()
    base = back.removesuffix(CALLBACK)
    click.echo(f"Мост должен работать (amo-bridge serve) и быть доступен по адресу {back}")
    if base != back:
        click.echo(f"Откройте ссылку (один раз, в течение 20 минут): {base}/connect?key={link}")
    click.echo(f"Или сразу страницу amoCRM (тоже 20 минут): {page}")
    click.echo("Или скопируйте код из окна интеграции: amo-bridge connect --code КОД")
    if hook := known_secret(config, os.environ):
        click.echo(f"Адрес для хука об отключении интеграции: {base}/hooks/amocrm/{hook}/disconnect")


# A password for the pages.


@click.command(cls=Command)
@click.argument("name", metavar="ИМЯ")
@config_option
def password(name: str, config_path: Path) -> None:
    """Ссылка, по которой пользователь страниц задаст новый пароль.

    Действует три дня, работает один раз.

    С --configs пользователи лежат в базе первого по имени аккаунта: назовите его файл.
    """
    config = load_or_exit(config_path)
    store = Store.at(config.bridge.database, config.data_folder)
    try:
        store.prepare()
        secret = _link(store, name)
    except (StoreUnavailable, OSError) as error:
        raise Stop(str(error)) from error
    finally:
        store.close()
    click.echo(f"{config.bridge.public_url or left_in(config.data_folder)}/password/{secret}")


def _link(store: Store, name: str) -> str:
    clock = SystemClock()
    users = Users(store, clock).all()
    user = next((user for user in users if fold(user.login) == fold(name)), None)
    if user is None:
        close = nearest(name, [user.login for user in users])
        raise Stop(f"пользователя «{name}» нет" + (f"; может быть, «{close}»?" if close else ""))
    if user.is_disabled:
        raise Stop(f"пользователь «{user.login}» отключён: его включает администратор на странице «Пользователи»")
    Audit(store, clock).write("командная строка", "user.link", f"Новая ссылка для пароля: {user.login}")
    return Links(store, clock).for_password(user.id)


# A person's messenger.

NEWEST_REQUESTS = 200
# Bot API, getUpdates: «Conflict: can't use getUpdates method while webhook is active».
HAS_WEBHOOK = "409"
KINDS = {"private": "личный", "group": "группа", "supergroup": "группа", "chat": "группа", "channel": "канал"}


@click.group(cls=Group)
def telegram() -> None:
    """Бот, который уведомляет своих в Telegram."""


@telegram.command("who", cls=Command)
@config_option
def who_in_telegram(config_path: Path) -> None:
    """Кто писал боту за последние сутки и какой номер вписать в [people]."""
    _who(TELEGRAM, load_or_exit(config_path), "https://t.me/{}")


@click.group(cls=Group)
def max() -> None:
    """Бот, который уведомляет своих в MAX."""


@max.command("who", cls=Command)
@config_option
def who_in_max(config_path: Path) -> None:
    """Кто писал боту недавно, в каких он группах и какой номер вписать в [people]."""
    _who(MAX, load_or_exit(config_path), "https://max.ru/{}")


def _who(vendor: Vendor[Any], config: Config, link: str) -> None:
    bot = _bot(vendor, config)
    staff = f"{vendor.section}_staff"
    try:
        name = bot.name().lstrip("@")
        chats = _chats(bot)
    except ChannelError as error:
        raise Stop(str(error)) from error
    has_webhook = config.intake is not None and config.intake.of(staff) is not None
    if has_webhook and (lines := _kept_by_bridge(config, staff)):
        click.echo("\n".join(lines))
        if not chats:
            return
    if not chats:
        raise Stop(f"боту @{name} за сутки никто не писал: откройте {link.format(name)}, нажмите «Старт» и повторите")
    table = Table("Номер", "Кто", "Чат", "Последнее сообщение", title=f"Боту @{name} писали")
    for chat in chats:
        table.add_row(str(chat.id), chat.name, KINDS.get(chat.kind, chat.kind), chat.text[:60])
    console().print(table)


def _chats(bot: Messenger) -> list[Chat]:
    """With a webhook set a bot tells of nobody: what came is with the bridge. Raises ChannelError."""
    try:
        return bot.chats()
    except ChannelRefused as error:
        if HAS_WEBHOOK not in str(error):
            raise
        return []


def _kept_by_bridge(config: Config, staff: str) -> list[str]:
    """What the bridge has said of messages that came to the bot for colleagues: their numbers are in it."""
    with opened(config) as (store, account):
        kept = IntakeRequests(AccountStore(store, account)).latest(NEWEST_REQUESTS)
    return list(dict.fromkeys(one.why for one in kept if one.vendor == staff and one.why))


def _bot(vendor: Vendor[Any], config: Config) -> Any:
    try:
        bot = vendor.open(config, KeptSecrets(config, os.environ))
    except ConfigError as error:
        tell_and_exit(error.problems)
    if bot is None:
        raise Stop(f"раздела [{vendor.section}] в настройке нет (docs/channels.md)")
    if not bot.has_token:
        raise Stop(f"нет токена бота: передайте его в {vendor.secret} (docs/channels.md)")
    return bot
