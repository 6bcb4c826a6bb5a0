"""``amo-bridge serve``: the bridge itself: the web side and the worker of one account, in one process."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import click

from amo_bridge import logs
from amo_bridge.cli.common import CONFIG_BROKEN, config_option, load_or_exit, tell_and_exit
from amo_bridge.config.against_account import unknown_names
from amo_bridge.config.model import Config
from amo_bridge.engine.bridge import Bridge
from amo_bridge.engine.connection import read_account
from amo_bridge.errors import BridgeError

THREADS = 8


@click.command()
@config_option
@click.option("--host", default="127.0.0.1", show_default=True, help="На каком адресе слушать.")
@click.option("--port", type=int, default=8080, show_default=True, help="Порт; 0 — любой свободный.")
def serve(config_path: Path, host: str, port: int) -> None:
    """Запустить мост: принимать хуки и исполнять регламент."""
    config = load_or_exit(config_path)
    logs.set_up()
    _refuse_wrong_names(config)
    listener = _listen(host, port)
    port = listener.getsockname()[1]
    click.echo(f"amo-bridge: http://{host}:{port}", err=True)
    _run(config, listener, f"http://{host if host != '0.0.0.0' else '127.0.0.1'}:{port}")


def _refuse_wrong_names(config: Config) -> None:
    """Better no bridge than one that works by a misread regulation. Without amoCRM the check waits until it answers."""
    try:
        problems = unknown_names(config, read_account(config, os.environ))
    except BridgeError as error:
        click.echo(f"amoCRM пока недоступна ({error}); имена будут сверены, когда она ответит", err=True)
        return
    if problems:
        tell_and_exit(problems)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=512)
    except OSError as error:
        raise click.ClickException(f"порт {port} занять не удалось: {error.strerror}") from error


def _run(config: Config, listener: socket.socket, own_url: str) -> None:
    """One gunicorn worker process with threads: the bridge lives in it, and gunicorn starts it again if it dies."""
    from gunicorn.app.base import BaseApplication

    from amo_bridge.web.app import create_app

    bridges: list[Bridge] = []

    def post_worker_init(worker: Any) -> None:
        bridges[0].start()
        threading.Thread(target=_watch, args=(bridges[0], worker.ppid), daemon=True).start()

    def worker_exit(server: Any, worker: Any) -> None:
        bridges[0].stop()

    class Application(BaseApplication):  # type: ignore[misc]
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
            bridges.append(Bridge(config, os.environ, own_url))
            return create_app(bridges[0], bridges[0])

    Application().run()


def _watch(bridge: Bridge, parent: int) -> None:
    """A config that does not fit the account, found out after the start, ends the whole server and says why."""
    bridge.wait_started()
    if bridge.problems:
        for problem in bridge.problems:
            click.echo(f"  • {problem}", err=True)
        os.kill(parent, signal.SIGTERM)
        sys.exit(CONFIG_BROKEN)
