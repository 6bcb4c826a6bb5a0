"""``amo-bridge connect``: let the bridge into an account by OAuth, when a long-lived token won't do."""

from __future__ import annotations

import os
from pathlib import Path

import click

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, load_or_exit, tell_and_exit
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.crm.responses import describe
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.runtime.connection import CALLBACK, TOKEN, known_secret, redirect_uri
from amo_bridge.runtime.oauth_flow import Connecting
from amo_bridge.storage.database import Store


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
        raise Stop(describe(error) if isinstance(error, BridgeError) else str(error)) from error


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
