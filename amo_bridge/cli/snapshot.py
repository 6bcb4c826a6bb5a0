"""``amo-bridge snapshot FILE``: the account as it is now, in one file, for rehearsals."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, load_or_exit, waiting
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.responses import describe
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.rehearsal.known_state import recalled
from amo_bridge.rehearsal.snapshot import Head, Masking, account_of, rows_of, write
from amo_bridge.runtime.connection import account_client

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
        head = Head(config.account.url, now, masked, account, recalled(config, now))
        with waiting("читаем аккаунт") as show:
            count = write(file, head, _rows(client, show, _masking(account, kept) if masked else None))
    except ConfigError as error:
        raise Stop("; ".join(error.problems)) from error
    except (BridgeError, OSError) as error:
        raise Stop(f"снимок не сделан: {describe(error) if isinstance(error, BridgeError) else error}") from error
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
