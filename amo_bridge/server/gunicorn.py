"""Listening process: gunicorn's arbiter, which restarts the working process if it dies.

It must stay thin: what is imported here is held in memory beside the working process for nothing.
"""

from __future__ import annotations

import gc
import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from gunicorn.app.base import BaseApplication

from amo_bridge.errors import why_not
from amo_bridge.private_files import UMASK
from amo_bridge.server.connections import WaitressWorker
from amo_bridge.server.options import ServeOptions, StartRefused

if TYPE_CHECKING:
    from amo_bridge.server.process import ServerProcess, StartProcess


# Seconds: a request to amoCRM that is on its way may take 25; cut off, it would have to be looked for.
GRACE = 45


def serve(order: ServeOptions) -> None:
    """Serve until told to stop; exits with the working process's code if it has given up. Raises StartRefused."""
    os.umask(UMASK)
    listener = _listen(order.host, order.port)
    order = replace(order, port=listener.getsockname()[1])
    # One byte of memory that both processes see: gunicorn has no way to end with a worker's own exit code.
    given_up = mmap.mmap(-1, 1)
    arbiter = os.getpid()
    try:
        GunicornApp(order, listener, given_up).run()
    finally:
        # The working process leaves by this way too.
        if given_up[0] and os.getpid() == arbiter:
            sys.exit(given_up[0])


class GunicornApp(BaseApplication):
    """One working process, whose connections waitress serves. ``load`` and the hooks run in it, the rest here."""

    def __init__(self, order: ServeOptions, listener: socket.socket, given_up: mmap.mmap) -> None:
        self._order = order
        self._listener = listener
        self._given_up = given_up
        self._house: ServerProcess | StartProcess | None = None
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": [f"fd://{self._listener.fileno()}"],
            "worker_class": WaitressWorker,
            "workers": 1,
            "control_socket_disable": True,
            "graceful_timeout": GRACE,
            "timeout": 60,
            "loglevel": "warning",
            "post_worker_init": lambda worker: self._begin(),
            "worker_exit": lambda server, worker: self._end(),
        }
        for key, value in settings.items():
            self.cfg.set(key, value)

    def load(self) -> Any:
        self._house = self._or_give_up(self._open)
        return self._house.app

    def _open(self) -> ServerProcess | StartProcess:
        gc.disable()
        from amo_bridge.server.process import ServerProcess, StartProcess

        # What was imported stays: the collector need not go through it while it comes, nor ever again.
        gc.freeze()
        gc.enable()
        house = StartProcess(self._order) if self._order.begins else ServerProcess(self._order)
        click.echo(f"amo-bridge: {self._order.address}", err=True)
        return house

    def _begin(self) -> None:
        assert self._house is not None
        self._house.begin(self._give_up)

    def _end(self) -> None:
        if self._house is not None:
            self._house.end()

    def _or_give_up(self, build: Callable[[], ServerProcess | StartProcess]) -> ServerProcess | StartProcess:
        try:
            return build()
        except StartRefused as refused:
            self._give_up(refused)
        sys.exit(0)

    def _give_up(self, refused: StartRefused) -> None:
        """Say why, and end the whole server with the refusal's exit code: starting again would not help."""
        self._order.report(refused.problems)
        self._given_up[0] = refused.exit_code
        os.kill(os.getppid(), signal.SIGTERM)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=512)
    except OSError as error:
        raise StartRefused(f"порт {port} занять не удалось: {why_not(error)}") from error
