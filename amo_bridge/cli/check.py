"""``amo-bridge check``: is the config right, and does the account know every name in it?"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from amo_bridge.cli.common import config_option, load_or_exit, tell_and_exit
from amo_bridge.config.against_account import unknown_names
from amo_bridge.engine.connection import read_account
from amo_bridge.errors import BridgeError


@click.command()
@config_option
@click.option("--offline", is_flag=True, help="Только сам файл, без обращения к amoCRM.")
def check(config_path: Path, offline: bool) -> None:
    """Проверить настройку: сам файл и, если amoCRM доступна, каждое имя в нём."""
    config = load_or_exit(config_path)
    enabled = sum(rule.enabled for rule in config.rules)
    click.echo(f"{config_path}: правил {len(config.rules)}, включено {enabled}, ошибок нет")
    if offline:
        return
    try:
        account = read_account(config, os.environ)
    except BridgeError as error:
        click.echo(f"Имена не сверены с аккаунтом {config.account.url}: {error}", err=True)
        sys.exit(3)
    if problems := unknown_names(config, account):
        tell_and_exit(problems)
    click.echo(f"Аккаунт «{account.name}» ({config.account.url}) знает все имена из настройки")
