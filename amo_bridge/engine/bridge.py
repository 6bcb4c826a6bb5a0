"""The bridge of one account, put together: store, client, brain, worker; started and stopped as one."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import structlog

from amo_bridge.clock import AccountClock, Clock, SystemClock
from amo_bridge.config.against_account import unknown_names
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.subscription import subscribe
from amo_bridge.engine.accounts import key_of
from amo_bridge.engine.alarms import Alarms
from amo_bridge.engine.brain import Brain
from amo_bridge.engine.connection import Connection
from amo_bridge.engine.delays import delay
from amo_bridge.engine.fill import Fill
from amo_bridge.engine.inbox import Inbox
from amo_bridge.engine.planner import Planner
from amo_bridge.engine.reconcile import Reconciler
from amo_bridge.engine.sender import SETTLE, Sender
from amo_bridge.engine.store import Store
from amo_bridge.engine.ticker import RECONCILE, Ticker
from amo_bridge.engine.watchdog import Watchdog
from amo_bridge.engine.worker import Worker
from amo_bridge.errors import BridgeError, ConfigError

log = structlog.get_logger()
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HOOK_SECRET = "hook_secret"


class Bridge:
    """``start()`` returns at once: the connecting goes on in a thread, and hooks are answered 503 until it is done."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        own_url: str,
        *,
        clock: Clock | None = None,
        settle: float = SETTLE,
    ) -> None:
        self.config = config
        self.state = "starting"
        self.problems: list[str] = []
        self._environment = environment
        self._own_url = own_url
        self._clock = clock or SystemClock()
        self._account_clock = AccountClock(self._clock)
        self._settle = settle
        self._stopping = threading.Event()
        self._starter = threading.Thread(target=self._start, name="starter", daemon=True)
        self._store: Store | None = None
        self._inbox: Inbox | None = None
        self._worker: Worker | None = None
        self._secret: str | None = None
        self._ticker = Ticker()

    # --- what the web side sees ---

    @property
    def secret(self) -> str | None:
        return self._secret if self._inbox else None

    def put(self, body: bytes) -> None:
        assert self._inbox is not None
        self._inbox.put(body)

    @property
    def is_ready(self) -> bool:
        return self.state == "ready" and not (self._worker and self._worker.trouble)

    # --- life ---

    def start(self) -> None:
        self._starter.start()

    def wait_started(self) -> None:
        """Returns when the connecting is over: ready, stopped, or the config found wrong (``problems``)."""
        self._starter.join()

    def stop(self) -> None:
        """Stop taking hooks, finish what is in hand, close the store. What is not done stays in it."""
        self._stopping.set()
        self._starter.join(30)
        if self._inbox:
            self._inbox.close()
        self._ticker.stop()
        if self._worker:
            self._worker.stop()
        if self._store:
            self._store.close()
        self.state = "stopped"

    def _start(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._connect()
            except ConfigError as error:
                self.state, self.problems = "config does not fit the account", error.problems
                log.critical("config does not fit the account", problems=error.problems)
                return
            except (BridgeError, OSError) as error:
                failures += 1
                self.state = f"waiting: {error}"
                log.error("can't start yet", error=str(error), kind=type(error).__name__)
                self._stopping.wait(delay(failures))
            else:
                self.state = "ready"
                return

    def _connect(self) -> None:
        if self._store is None:
            self._store = Store.at(self.config.bridge.database, self.config.data_folder)
            self._store.prepare()
        connection = Connection(self.config, self._environment, self._store, self._account_clock)
        account = connection.account()
        if problems := unknown_names(self.config, account):
            raise ConfigError(problems)
        key = key_of(self._store, account, self.config.account.url)
        client = connection.client(key)
        self._secret = self._environment.get("AMO_BRIDGE_HOOK_SECRET") or connection.remembered(
            HOOK_SECRET, lambda: secrets.token_urlsafe(32)
        )
        self._worker = self._make_worker(connection, client, account, key)
        self._inbox = self._inbox or Inbox(self._store, key, self._clock, self._worker.ring)
        if destination := self._destination():
            subscribe(client, destination)
        Fill(self._store, key, client, self._clock, self._account_clock).run(self._show_filling)
        self._worker.ask(RECONCILE)
        self._worker.start()
        self._ticker.start(self._worker)
        log.info("ready", account=account.subdomain, rules=sum(rule.enabled for rule in self.config.rules))

    def _make_worker(self, connection: Connection, client: CrmClient, account: Account, key: int) -> Worker:
        assert self._store is not None
        brain = Brain.of(self.config, account, self._account_clock)
        planner = Planner(self._store, key, client, brain, self._clock)
        sender = Sender(
            self._store, key, client, brain, self.config.account.url, self._clock, settle=self._settle
        )  # fmt: skip

        def refresh() -> None:
            log.info("reading the account again: something unknown appeared")
            planner.brain = sender.brain = Brain.of(self.config, connection.account(refresh=True), self._account_clock)

        reconciler = Reconciler(self._store, key, client, self._clock)
        reconciler.begin()
        look: Callable[[], object] = reconciler.run
        if destination := self._destination():
            alarms = Alarms(self._store, key, brain, self._clock)
            look = Watchdog(
                self._store, key, client, self._clock, reconciler, destination, alarms.tell
            ).run  # fmt: skip
        return Worker(self._store, key, planner, sender, refresh, {RECONCILE: look})

    def _show_filling(self, deals: int) -> None:
        self.state = f"filling the mirror: {deals} deals read"

    def _destination(self) -> str | None:
        """Where amoCRM is to send its hooks; None if nobody said how it reaches us."""
        base = self.config.bridge.public_url or self._loopback_url()
        if base is None:
            log.warning("no public_url: amoCRM is not told where to send its hooks")
            return None
        return f"{base}/hooks/amocrm/{self._secret}"

    def _loopback_url(self) -> str | None:
        """A local amoCRM reaches us on this machine; the real one needs the public address."""
        return self._own_url if urlsplit(self.config.account.url).hostname in LOOPBACK else None
