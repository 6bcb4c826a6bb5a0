"""``amo-bridge sandbox``: a local amoCRM."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.errors import why_not
from amo_bridge.sandbox import server
from amo_bridge.sandbox.account_file import AccountFileError, shipped

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
def sandbox(port: int, account: Path | None, state: Path | None) -> None:
    """Местная amoCRM: настоящий HTTP-сервер для проб, тестов и репетиций."""

    def ready(url: str) -> None:
        click.echo(f"amoCRM (песочница): {url}   описание: {url}/sandbox/   токен: sandbox-token")

    try:
        # werkzeug, on a port that is taken, says so in English and leaves; so it is tried here first.
        socket.create_server((HOST, port)).close()
        server.run(HOST, port, shipped(account), state, on_ready=ready)
    except AccountFileError as error:
        raise Stop(str(error)) from error
    except OSError as error:
        raise Stop(f"порт {port} занять не удалось: {why_not(error)}") from error
