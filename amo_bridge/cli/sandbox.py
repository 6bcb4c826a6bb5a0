"""``amo-bridge sandbox``: a local amoCRM."""

from __future__ import annotations

from pathlib import Path

import click

from amo_bridge.sandbox import server
from amo_bridge.sandbox.account_file import AccountFileError


@click.command()
@click.option("--port", type=int, default=8090, show_default=True, help="Порт на 127.0.0.1; 0 — любой свободный.")
@click.option("--account", type=click.Path(path_type=Path), help="Файл аккаунта; без него — агентство из примера.")
@click.option("--state", type=click.Path(path_type=Path), help="Файл, в котором аккаунт переживёт перезапуск.")
def sandbox(port: int, account: Path | None, state: Path | None) -> None:
    """Местная amoCRM: настоящий HTTP-сервер для проб, тестов и репетиций."""

    def ready(url: str) -> None:
        click.echo(f"amoCRM (песочница): {url}   описание: {url}/sandbox/   токен: sandbox-token")

    try:
        server.run("127.0.0.1", port, account, state, on_ready=ready)
    except AccountFileError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"порт {port} занять не удалось: {error.strerror}") from error
