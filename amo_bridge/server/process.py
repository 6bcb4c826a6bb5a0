"""Working process: config checked, webhooks taken in early, then the engine and the pages imported."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy.engine import make_url

from amo_bridge import logs
from amo_bridge.config.files import load_folder
from amo_bridge.config.loader import essentials, load, secret
from amo_bridge.config.model import Config
from amo_bridge.engine.metrics import METRICS_TOKEN
from amo_bridge.errors import BridgeError, ConfigError, why_not
from amo_bridge.lazy.collecting import no_garbage
from amo_bridge.logs import log
from amo_bridge.private_files import close_to_others, make_folder
from amo_bridge.retry import SETTLE
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.runtime.connection import tokens
from amo_bridge.runtime.host import Host
from amo_bridge.server import options
from amo_bridge.server.options import ServeOptions, StartRefused
from amo_bridge.storage.backup import BESIDE
from amo_bridge.web.receiver import HookReceiver

if TYPE_CHECKING:
    from flask import Flask

    from amo_bridge.web.accounts import Accounts

# The store may be coming up beside us, and the first start is in no hurry.
ASK_AGAIN = 2.0

# Seconds that the pages wait for the receiver at most: a database may not answer, and they are to say so.
RECEIVING_FIRST = 2.0
# Seconds after which a webhook that came before it could be taken in looks whether it can.
LOOK_AGAIN = 0.02

# The first start: nobody may come in yet, so whoever sees the console gets a link that makes him the admin.


def announce(accounts: Accounts, address: str) -> None:
    """Print the link if there are no users. Waits for the store. ``address``: of the pages, as a browser reaches them.

    The link goes to the console alone: logs are kept, and sent to places, and a link is a key."""
    while True:
        try:
            secret = accounts.links.for_first_admin()
        except (BridgeError, ConfigError) as error:
            log.warning("pages wait for the store", error=str(error))
            time.sleep(ASK_AGAIN)
            continue
        if secret is not None:
            log.info("no users yet: the link for the first admin is on the console")
            click.echo(f"Первый администратор (ссылка на сутки, работает один раз): {address}/setup/{secret}", err=True)
        return


# Seconds before a write whose answer was lost is looked for; rehearsals with a quick local amoCRM set it lower.
SETTLE_VARIABLE = "AMO_BRIDGE_SETTLE"


class StartProcess:
    """There is no config yet: pages by which one is made. Once it is written this process ends, and the arbiter starts
    one that works by it. Making it raises StartRefused."""

    def __init__(self, order: ServeOptions) -> None:
        from amo_bridge.web.start import Beginning, create_start_app

        self._order = order
        logs.set_up()
        folder = order.config_path.resolve().parent
        _refuse_unwritable_folder(
            folder, "Запустите мост в папке, где будет настройка, или назовите её: amo-bridge serve --config ФАЙЛ"
        )
        self._beginning = Beginning(order.config_path.resolve(), os.environ, _end_soon)
        self.app = create_start_app(self._beginning, proxies=order.proxies)

    def begin(self, give_up: Callable[[StartRefused], None]) -> None:
        """Show the link: on the console alone, for it is a key."""
        words = f"Настройки {self._order.config_path} ещё нет. Составить её (ссылка до перезапуска)"
        click.echo(f"{words}: {self._order.own_url}/start/{self._beginning.key}", err=True)
        click.echo("То же без страниц: amo-bridge init", err=True)

    def end(self) -> None:
        """Nothing is at work."""


def _end_soon() -> None:
    """The answer of the page that saved is sent first: the server lets go only when it is."""
    os.kill(os.getpid(), signal.SIGTERM)


class LaterApp:
    """The web side, for whoever serves it before it is there: requests wait for it, webhooks only until they can be
    taken in (``short_way``)."""

    def __init__(self, short_way: HookReceiver | None) -> None:
        self.short_way = short_way
        self._app: Flask | None = None
        self._is_there = threading.Event()

    def open(self, app: Flask) -> None:
        """It is there."""
        self._app = app
        self._is_there.set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        while not self._is_there.wait(LOOK_AGAIN):
            answer = None
            if self.short_way is not None and environ["REQUEST_METHOD"] == "POST":
                answer = self.short_way.answer_now(environ["PATH_INFO"], environ["wsgi.input"])
            if answer is not None:
                start_response(answer.status, list(answer.headers.items()))
                return [answer.body]
        assert self._app is not None
        return self._app(environ, start_response)


class ServerProcess:
    """``app`` is the web side. Making the process raises StartRefused when it can't work."""

    def __init__(self, order: ServeOptions) -> None:
        self._order = order
        self._application: AccountRuntime | Host = _installation(order) if order.configs else _bridge(order)
        self._token = _secret(METRICS_TOKEN)
        self.app = LaterApp(HookReceiver(self._application) if order.takes_hooks else None)

    def begin(self, give_up: Callable[[StartRefused], None]) -> None:
        """Start working. ``give_up`` is called when it turns out that it can't."""
        self._application.start()
        threading.Thread(target=self._open_pages, args=(give_up,), name="opening", daemon=True).start()
        if isinstance(self._application, AccountRuntime):
            threading.Thread(target=_watch, args=(self._application, give_up), daemon=True).start()

    def _open_pages(self, give_up: Callable[[StartRefused], None]) -> None:
        # Both are processor time of one interpreter: what must be there first comes first.
        self._application.wait_receiving(RECEIVING_FIRST)
        try:
            app, accounts = self._made_app()
        except Exception as error:
            log.exception("web side not made")
            give_up(StartRefused(f"страницы не открылись: {error!r}"))
            return
        self.app.open(app)
        if accounts is not None:
            address = accounts.public_url or self._order.own_url
            options.leave(accounts.data_folder, address)
            announce(accounts, address)

    def _made_app(self) -> tuple[Flask, Accounts | None]:
        # What is imported stays: the collector need not go through it while it comes, nor ever again.
        with no_garbage():
            from amo_bridge.web.app import create_app
            from amo_bridge.web.context import EXTENSION

            order = self._order
            app = create_app(self._application, takes_hooks=order.takes_hooks, token=self._token, proxies=order.proxies)
            return app, app.extensions.get(EXTENSION)

    def end(self) -> None:
        """Stop as a shutdown does."""
        self._application.stop()


def _watch(bridge: AccountRuntime, give_up: Callable[[StartRefused], None]) -> None:
    """A config that does not fit the account, found out after the start, ends the whole server and says why."""
    bridge.wait_started()
    if bridge.problems:
        give_up(StartRefused(bridge.problems))


def _bridge(order: ServeOptions) -> AccountRuntime:
    mistakes: list[str] = []
    try:
        config = load(order.config_path)
    except ConfigError as error:
        readable = essentials(order.config_path)
        if readable is None:
            raise StartRefused(error.problems) from error
        config, mistakes = readable, error.problems
        order.report(mistakes)
    logs.set_up()
    if mistakes:
        log.error("config is broken, no rule works until it is mended", problems=mistakes)
    _refuse_unwritable_folder(config.data_folder)
    _close_to_others(config)
    if order.role != "web":
        _refuse_without_token(config)
    return AccountRuntime(config, os.environ, order.own_url, role=order.role, settle=_settle(), mistakes=mistakes)


def _installation(order: ServeOptions) -> Host:
    """A broken config keeps only its own account out; its names are compared by its own bridge."""
    assert order.configs is not None
    try:
        accounts = load_folder(order.configs, os.environ)
    except ConfigError as error:
        raise StartRefused(error.problems) from error
    logs.set_up()
    for one in accounts:
        if config := one.config or one.essentials:
            _refuse_unwritable_folder(config.data_folder)
            _close_to_others(config)
        if one.config is None:
            order.report(list(one.problems))
    if all((one.config or one.essentials) is None for one in accounts):
        raise StartRefused([])
    return Host(accounts, order.own_url, role=order.role, settle=_settle())


def _refuse_without_token(config: Config) -> None:
    """Names that the account does not know break their rules only; without a token nothing at all can be done."""
    try:
        tokens(config, os.environ)
    except ConfigError as error:
        raise StartRefused(error.problems) from error


UNWRITABLE = "Назовите другую в [bridge] data или в переменной AMO_BRIDGE_DATA"


def _refuse_unwritable_folder(folder: Path, advice: str = UNWRITABLE) -> None:
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise StartRefused(f"в папку для данных {folder} нельзя писать: {why_not(error)}. {advice}") from error


def _close_to_others(config: Config) -> None:
    url = config.bridge.database
    database = Path(make_url(url).database or "") if url.startswith("sqlite") else None
    beside = [database.with_name(database.name + ending) for ending in ("", *BESIDE)] if database else []
    close_to_others(config.data_folder, beside)


def _secret(name: str) -> str:
    try:
        return secret(os.environ, name)
    except ConfigError as error:
        raise StartRefused(error.problems) from error


def _settle() -> float:
    told = os.environ.get(SETTLE_VARIABLE, "")
    try:
        return float(told) if told else SETTLE
    except ValueError as error:
        raise StartRefused(f"{SETTLE_VARIABLE}: «{told}» — не число секунд") from error
