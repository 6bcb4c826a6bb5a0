"""``amo-bridge serve``: the bridge itself: the web side and the worker of one account or of several, in one process."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from amo_bridge import logs
from amo_bridge.cli import first_admin
from amo_bridge.cli.common import CONFIG_BROKEN, config_option, load_or_exit, tell, tell_and_exit
from amo_bridge.cli.crm_words import in_words
from amo_bridge.cli.russian import Command, Stop
from amo_bridge.config.against_account import unknown_names
from amo_bridge.config.folder import load_folder
from amo_bridge.config.model import Config
from amo_bridge.engine.bridge import Bridge, Role
from amo_bridge.engine.connection import read_account, secret
from amo_bridge.engine.installation import Installation
from amo_bridge.engine.sender import SETTLE
from amo_bridge.errors import BridgeError, ConfigError

THREADS = 8
# Seconds before a write whose answer was lost is looked for; rehearsals with a quick local amoCRM set it lower.
SETTLE_VARIABLE = "AMO_BRIDGE_SETTLE"


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
    type=click.Choice(get_args(Role)),
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

    Код выхода: 0 — остановлен (SIGTERM, Ctrl+C); 1 — не запустился; 2 — настройка не годится.
    """
    make = _installation(configs, role) if configs else _bridge(config_path, role)
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    click.echo(f"amo-bridge: http://{host}:{port}", err=True)
    own_url = f"http://{host if host != '0.0.0.0' else '127.0.0.1'}:{port}"
    _run(lambda: make(own_url), listener, own_url, takes_hooks=role != "worker", proxies=proxies)


def _bridge(config_path: Path, role: Role) -> Callable[[str], Bridge]:
    config = load_or_exit(config_path)
    logs.set_up()
    if role != "web":
        _refuse_wrong_names(config)
    _refuse_unwritable_folder(config.data_folder)
    settle = _settle()
    return lambda own_url: Bridge(config, os.environ, own_url, role=role, settle=settle)


def _installation(folder: Path, role: Role) -> Callable[[str], Installation]:
    """A broken config keeps only its own account out; its names are compared by its own bridge."""
    try:
        accounts = load_folder(folder, os.environ)
    except ConfigError as error:
        tell_and_exit(error.problems)
    logs.set_up()
    for one in accounts:
        if one.config is not None:
            _refuse_unwritable_folder(one.config.data_folder)
        else:
            tell(list(one.problems))
    if all(one.config is None for one in accounts):
        sys.exit(CONFIG_BROKEN)
    settle = _settle()
    return lambda own_url: Installation(accounts, own_url, role=role, settle=settle)


def _refuse_wrong_names(config: Config) -> None:
    """Better no bridge than one that works by a misread regulation. Without amoCRM the check waits until it answers."""
    try:
        problems = unknown_names(config, read_account(config, os.environ))
    except ConfigError as error:
        tell_and_exit(error.problems)
    except BridgeError as error:
        click.echo(f"Имена пока не сверены, это будет сделано, когда amoCRM ответит: {in_words(error)}", err=True)
        return
    if problems:
        tell_and_exit(problems)


def _refuse_unwritable_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise Stop(
            f"в папку для данных {folder} нельзя писать: {error.strerror}. "
            "Назовите другую в [bridge] data или в переменной AMO_BRIDGE_DATA"
        ) from error


def _secret(name: str) -> str:
    try:
        return secret(os.environ, name)
    except ConfigError as error:
        tell_and_exit(error.problems)


def _settle() -> float:
    told = os.environ.get(SETTLE_VARIABLE, "")
    try:
        return float(told) if told else SETTLE
    except ValueError as error:
        raise click.ClickException(f"{SETTLE_VARIABLE}: «{told}» — не число секунд") from error


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=512)
    except OSError as error:
        raise Stop(f"порт {port} занять не удалось: {error.strerror}") from error


def _run(
    make: Callable[[], Bridge | Installation], listener: socket.socket, own_url: str, *, takes_hooks: bool, proxies: int
) -> None:
    """One gunicorn worker process with threads: the bridge lives in it, and gunicorn starts it again if it dies."""
    from gunicorn.app.base import BaseApplication

    from amo_bridge.web.access import TOKEN
    from amo_bridge.web.app import create_app
    from amo_bridge.web.here import EXTENSION as PAGES

    made: list[Bridge | Installation] = []
    token = _secret(TOKEN)
    # One byte of memory that both processes see: gunicorn has no way to end with a worker's own exit code.
    misfit = mmap.mmap(-1, 1)

    def post_worker_init(worker: Any) -> None:
        made[0].start()
        if takes_hooks:
            office = worker.wsgi.extensions[PAGES]
            address = office.public_url or own_url
            threading.Thread(target=first_admin.announce, args=(office, address), daemon=True).start()
        if isinstance(made[0], Bridge):
            threading.Thread(target=_watch, args=(made[0], worker.ppid, misfit), daemon=True).start()

    def worker_exit(server: Any, worker: Any) -> None:
        made[0].stop()

    class Application(BaseApplication):
        def load_config(self) -> None:
            settings = {
                "bind": [f"fd://{listener.fileno()}"],
                "worker_class": "gthread",
                "workers": 1,
                "threads": THREADS,
                "control_socket_disable": True,
                # A request to amoCRM that is on its way may take 25 s; cut off, it would have to be looked for.
                "graceful_timeout": 45,
                "timeout": 60,
                "keepalive": 15,
                "loglevel": "warning",
                "post_worker_init": post_worker_init,
                "worker_exit": worker_exit,
            }
            for key, value in settings.items():
                self.cfg.set(key, value)

        def load(self) -> Any:
            made.append(make())
            return create_app(
                made[0],
                made[0],
                made[0],
                made[0],
                takes_hooks=takes_hooks,
                token=token,
                installed=made[0] if takes_hooks else None,
                proxies=proxies,
            )

    try:
        Application().run()
    finally:
        if misfit[0]:
            sys.exit(CONFIG_BROKEN)


def _watch(bridge: Bridge, parent: int, misfit: mmap.mmap) -> None:
    """A config that does not fit the account, found out after the start, ends the whole server and says why."""
    bridge.wait_started()
    if bridge.problems:
        tell(bridge.problems)
        misfit[0] = 1
        os.kill(parent, signal.SIGTERM)
