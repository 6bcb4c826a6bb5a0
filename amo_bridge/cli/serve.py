"""``amo-bridge serve``: the bridge itself: the web side and the worker of one account, in one process."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import click

from amo_bridge import logs
from amo_bridge.cli.common import CONFIG_BROKEN, config_option, load_or_exit, tell, tell_and_exit
from amo_bridge.cli.crm_words import in_words
from amo_bridge.cli.russian import Command, Stop
from amo_bridge.config.against_account import unknown_names
from amo_bridge.config.model import Config
from amo_bridge.engine.bridge import Bridge
from amo_bridge.engine.connection import read_account
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
def serve(config_path: Path, host: str, port: int) -> None:
    """Запустить мост: принимать хуки и исполнять регламент.

    Код выхода: 0 — остановлен (SIGTERM, Ctrl+C); 1 — не запустился; 2 — настройка не годится.
    """
    config = load_or_exit(config_path)
    logs.set_up()
    _refuse_wrong_names(config)
    _refuse_unwritable_folder(config.data_folder)
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    click.echo(f"amo-bridge: http://{host}:{port}", err=True)
    _run(config, listener, f"http://{host if host != '0.0.0.0' else '127.0.0.1'}:{port}")


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


def _run(config: Config, listener: socket.socket, own_url: str) -> None:
    """One gunicorn worker process with threads: the bridge lives in it, and gunicorn starts it again if it dies."""
    from gunicorn.app.base import BaseApplication

    from amo_bridge.web.app import create_app

    bridges: list[Bridge] = []
    # One byte of memory that both processes see: gunicorn has no way to end with a worker's own exit code.
    misfit = mmap.mmap(-1, 1)

    def post_worker_init(worker: Any) -> None:
        bridges[0].start()
        threading.Thread(target=_watch, args=(bridges[0], worker.ppid, misfit), daemon=True).start()

    def worker_exit(server: Any, worker: Any) -> None:
        bridges[0].stop()

    class Application(BaseApplication):
        def load_config(self) -> None:
            settings = {
                "bind": [f"fd://{listener.fileno()}"],
                "worker_class": "gthread",
                "workers": 1,
                "threads": THREADS,
                "control_socket_disable": True,
                "graceful_timeout": 30,
                "timeout": 60,
                "keepalive": 15,
                "loglevel": "warning",
                "post_worker_init": post_worker_init,
                "worker_exit": worker_exit,
            }
            for key, value in settings.items():
                self.cfg.set(key, value)

        def load(self) -> Any:
            bridges.append(Bridge(config, os.environ, own_url, settle=_settle()))
            return create_app(bridges[0], bridges[0])

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
