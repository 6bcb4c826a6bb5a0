"""``amo-bridge sandbox``: a local amoCRM."""

from __future__ import annotations

from pathlib import Path

import click

from amo_bridge.cli.russian import Command, Stop
from amo_bridge.sandbox import server
from amo_bridge.sandbox.account_file import AccountFileError


@click.command(cls=Command)
@click.option(
    "--port", type=int, default=8090, metavar="ЧИСЛО", help="Порт на 127.0.0.1: без ключа 8090, 0 — любой свободный."
)
@click.option(
    "--account", metavar="ФАЙЛ", type=click.Path(path_type=Path), help="Файл аккаунта; без него — агентство из примера."
)
@click.option(
    "--state", metavar="ФАЙЛ", type=click.Path(path_type=Path), help="Файл, в котором аккаунт переживёт перезапуск."
)
def sandbox(port: int, account: Path | None, state: Path | None) -> None:
    """Местная amoCRM: настоящий HTTP-сервер для проб, тестов и репетиций."""

    def ready(url: str) -> None:
        click.echo(f"amoCRM (песочница): {url}   описание: {url}/sandbox/   токен: sandbox-token")

    try:
        server.run("127.0.0.1", port, account, state, on_ready=ready)
    except AccountFileError as error:
        raise Stop(str(error)) from error
    except OSError as error:
        raise Stop(f"порт {port} занять не удалось: {error.strerror}") from error
