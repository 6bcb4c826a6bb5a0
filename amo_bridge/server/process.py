"""The first start: nobody may come in yet, so whoever sees the console gets a link that makes him the admin."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click
import structlog
from sqlalchemy.engine import make_url

from amo_bridge import logs
from amo_bridge.config.files import load_folder
from amo_bridge.config.loader import essentials, load, secret
from amo_bridge.config.model import Config
from amo_bridge.engine.sender import SETTLE
from amo_bridge.errors import BridgeError, ConfigError, why_not
from amo_bridge.private_files import close_to_others, make_folder
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.runtime.connection import tokens
from amo_bridge.runtime.host import Host
from amo_bridge.server import options
from amo_bridge.server.options import ServeOptions, StartRefused
from amo_bridge.storage.backup import BESIDE
from amo_bridge.web.accounts import Accounts
from amo_bridge.web.app import create_app
from amo_bridge.web.auth.guard import TOKEN
from amo_bridge.web.context import EXTENSION as PAGES
from amo_bridge.web.start import Beginning, create_start_app

log = structlog.get_logger()
# The store may be coming up beside us, and the first start is in no hurry.
ASK_AGAIN = 2.0


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


# The process that works: the config is checked, the bridge (or several) is made, and the web side before it.

# Seconds before a write whose answer was lost is looked for; rehearsals with a quick local amoCRM set it lower.
SETTLE_VARIABLE = "AMO_BRIDGE_SETTLE"


class StartProcess:
    """There is no config yet: pages by which one is made. Once it is written this process ends, and the arbiter starts
    one that works by it. Making it raises StartRefused."""

    def __init__(self, order: ServeOptions) -> None:
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


class ServerProcess:
    """``app`` is the web side. Making it raises StartRefused when it can't work."""

    def __init__(self, order: ServeOptions) -> None:
        self._order = order
        self._application: AccountRuntime | Host = _installation(order) if order.configs else _bridge(order)
        self.app = create_app(
            self._application, takes_hooks=order.takes_hooks, token=_secret(TOKEN), proxies=order.proxies
        )

    def begin(self, give_up: Callable[[StartRefused], None]) -> None:
        """Start working. ``give_up`` is called when it turns out that it can't."""
        self._application.start()
        if self._order.takes_hooks:
            accounts: Accounts = self.app.extensions[PAGES]
            address = accounts.public_url or self._order.own_url
            options.leave(accounts.data_folder, address)
            threading.Thread(target=announce, args=(accounts, address), daemon=True).start()
        if isinstance(self._application, AccountRuntime):
            threading.Thread(target=_watch, args=(self._application, give_up), daemon=True).start()

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
