"""``amo-bridge serve``: the web side and the worker of one account or of several, in one process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from amo_bridge.cli.click_ru import Command, Stop
from amo_bridge.cli.common import config_option, tell
from amo_bridge.server.options import ROLES, ServeOptions, StartRefused

if TYPE_CHECKING:
    from amo_bridge.runtime.account import Role


@click.command(cls=Command)
@config_option
@click.option("--host", default="127.0.0.1", metavar="АДРЕС", help="На каком адресе слушать; без ключа 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    metavar="ЧИСЛО",
    help="Порт: без ключа 8080, 0 — любой свободный.",
)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="all",
    metavar="РОЛЬ",
    help="web — только принимать хуки, worker — только работать, all — всё (так без ключа). См. docs/scale-out.md.",
)
@click.option(
    "--configs",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="ПАПКА",
    help="Вместо --config: папка с файлами *.toml, в каждом свой аккаунт.",
)
@click.option(
    "--proxies",
    type=click.IntRange(0, 5),
    default=0,
    metavar="ЧИСЛО",
    help="Сколько своих прокси стоит перед мостом: их словам об адресе посетителя верят. Без ключа 0.",
)
def serve(config_path: Path, host: str, port: int, role: Role, configs: Path | None, proxies: int) -> None:
    """Запустить мост: принимать хуки и исполнять регламент.

    Настройки нет, и --config не назван — мост откроет страницы, на которых её составляют (docs/start.md).

    Код выхода: 0 — остановлен (SIGTERM, Ctrl+C); 1 — не запустился; 2 — настройка не годится.
    """
    from amo_bridge.server import gunicorn

    # A name that was typed may be mistyped: then a new config would be the wrong answer.
    may_begin = click.get_current_context().get_parameter_source("config_path") is ParameterSource.DEFAULT
    order = ServeOptions(config_path, configs, host, port, role, proxies, report=_report, may_begin=may_begin)
    try:
        gunicorn.serve(order)
    except StartRefused as refused:
        _report(refused.problems)
        sys.exit(refused.exit_code)


def _report(problems: list[str] | str) -> None:
    """Say on stderr why the server can't start: in one sentence, or with all mistakes of a config."""
    if isinstance(problems, str):
        Stop(problems).show()
    elif problems:
        tell(problems)
