"""``amo-bridge sandbox``: a local amoCRM."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import click

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.errors import why_not
from amo_bridge.sandbox import server
from amo_bridge.sandbox.account_file import AccountFileError, shipped
from amo_bridge.standins.server import StandIns, serving, wanted_names

HOST = "127.0.0.1"


@click.command(cls=Command)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8090,
    metavar="ЧИСЛО",
    help="Порт на 127.0.0.1: без ключа 8090, 0 — любой свободный.",
)
@click.option(
    "--account",
    metavar="ФАЙЛ",
    type=click.Path(path_type=Path),
    help="Файл аккаунта или учебный: school (examples/webinar.toml), clients (examples/client_department.toml), smm"
    " (examples/smm.toml), remote (examples/remote_sales.toml); без ключа — агентство из примера.",
)
@click.option(
    "--state", metavar="ФАЙЛ", type=click.Path(path_type=Path), help="Файл, в котором аккаунт переживёт перезапуск."
)
@click.option(
    "--with",
    "vendors",
    metavar="СЕРВИСЫ",
    help="Рядом — местные сервисы через запятую: site, vk, telegram, max, meta, zadarma, novofon, novofon2, onlinepbx,"
    " unisender_go, yandex_audience, yandex_direct, vkads, roistat, pipedrive, megaplan, yandex_disk, google_drive,"
    " google_sheets, s3; pbx — все АТС, ads — вся реклама, all — всё. На их странице пишут и звонят от имени клиента.",
)
@click.option(
    "--vendors-port",
    type=click.IntRange(0, 65535),
    default=8091,
    metavar="ЧИСЛО",
    help="Порт местных сервисов: без ключа 8091, 0 — любой свободный.",
)
def sandbox(port: int, account: Path | None, state: Path | None, vendors: str | None, vendors_port: int) -> None:
    """Местная amoCRM: настоящий HTTP-сервер для проб, тестов и репетиций."""
    beside = ""

    def ready(url: str) -> None:
        click.echo(f"amoCRM (песочница): {url}   описание: {url}/sandbox/   токен: sandbox-token")
        if beside:
            click.echo(f"Сервисы, из которых приходят обращения: {beside}/   (пишите и звоните оттуда как клиент)")

    try:
        with ExitStack() as stack:
            if vendors is not None:
                _try_port(vendors_port)
                beside = stack.enter_context(serving(StandIns(wanted_names(vendors)), HOST, vendors_port))
            _try_port(port)
            server.run(HOST, port, shipped(account), state, on_ready=ready)
    except ValueError as error:
        raise Stop(str(error)) from error
    except AccountFileError as error:
        raise Stop(str(error)) from error


def _try_port(port: int) -> None:
    """werkzeug, on a port that is taken, says so in English and leaves; so it is tried here first."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise Stop(f"порт {port} занять не удалось: {why_not(error)}") from error
