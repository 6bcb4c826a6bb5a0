"""The bridge of one account, put together: the door for hooks, and the worker behind it; started and stopped as one."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Literal

import structlog

from amo_bridge.clock import AccountClock, Clock, SystemClock
from amo_bridge.config.against_account import unknown_names
from amo_bridge.config.model import Config
from amo_bridge.engine import presence
from amo_bridge.engine.accounts import key_of, known_key
from amo_bridge.engine.closing import Closing
from amo_bridge.engine.connection import HOOK_SECRET, Connection, known_secret
from amo_bridge.engine.delays import delay
from amo_bridge.engine.duty import Duty
from amo_bridge.engine.gauges import Gauges, Vitals
from amo_bridge.engine.ground import Ground
from amo_bridge.engine.inbox import Inbox
from amo_bridge.engine.leader import Leadership
from amo_bridge.engine.meters import Meters
from amo_bridge.engine.own_address import destination
from amo_bridge.engine.sender import SETTLE
from amo_bridge.engine.small_state import account_name
from amo_bridge.engine.work import Desk, LeaderWork
from amo_bridge.engine.worker import Worker
from amo_bridge.errors import BridgeError, ConfigError, LeadLost, NotConnected, StoreUnavailable

log = structlog.get_logger()
Role = Literal["all", "web", "worker"]
# Another process or the page for connecting may change these at any moment, and to ask again costs amoCRM nothing.
CHEAP_TO_ASK = (StoreUnavailable, NotConnected)
SOON = 5.0
NOT_MET = "аккаунт ещё не подключал ни один рабочий процесс (amo-bridge serve --role worker)"


class Bridge:
    """``start()`` returns at once: the connecting goes on in a thread, and hooks are answered 503 until it is done.

    ``role``: "web" only takes hooks in, "worker" only works, "all" does both. Of all that work for an account one leads
    and the others stand by. ``ground`` is given when it is shared with other accounts; then somebody else closes it.
    """

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        own_url: str,
        *,
        role: Role = "all",
        ground: Ground | None = None,
        clock: Clock | None = None,
        settle: float = SETTLE,
        meters: Meters | None = None,
    ) -> None:
        self.config = config
        self.role = role
        self.state = "starting"
        self.problems: list[str] = []
        self._environment = environment
        self._own_url = own_url
        self._clock = clock or SystemClock()
        self._settle = settle
        self.meters = (meters or Meters()).of(account_name(config))
        self._gauges: Gauges | None = None
        self._leave: Callable[[], None] | None = None
        self._shared_ground = ground
        self._ground: Ground | None = None
        self._inbox: Inbox | None = None
        self._secret: str | None = None
        self._duty: Duty | None = None
        self._work: LeaderWork | None = None
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._live, name="bridge", daemon=True)

    # --- what the web side sees ---

    @property
    def secret(self) -> str | None:
        return self._secret if self._inbox else None

    def put(self, body: bytes) -> None:
        assert self._inbox is not None
        self._inbox.put(body)

    @property
    def is_ready(self) -> bool:
        return self.state == "ready" and not self.trouble

    @property
    def is_leading(self) -> bool:
        """Does this process work for the account just now?"""
        return self._duty is not None and self._duty.is_leading

    @property
    def trouble(self) -> str:
        """What the worker is waiting out, if anything."""
        worker = self._worker
        return worker.trouble if worker else ""

    def vitals(self) -> Vitals | None:
        """What waits, what has failed; None while the store has not been opened. Raises StoreUnavailable."""
        return self._gauges.read() if self._gauges else None

    @property
    def _worker(self) -> Worker | None:
        return self._work.worker if self._work else None

    # --- life ---

    def start(self) -> None:
        self._thread.start()

    def wait_started(self) -> None:
        """Returns when the connecting is over: at work or standing by, stopped, or the config found wrong
        (``problems``)."""
        self._started.wait()

    def try_again(self) -> None:
        """Something has changed (the account was connected): don't wait out the pause."""
        self._wake.set()
        if worker := self._worker:
            worker.try_again()

    def stop(self) -> None:
        """Stop taking hooks, finish what is in hand, let others lead, close the store. What is not done stays in it."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(60)
        if self._inbox:
            self._inbox.close()
        if self._ground and self._shared_ground is None:
            self._ground.close()
        if self._leave:
            self._leave()
        self.state = "stopped"

    def _live(self) -> None:
        try:
            # Hooks are taken in from here on; a worker is ready only when it works or knows that somebody else does.
            if not self._patiently(self._open_door, "ready" if self.role == "web" else "door open"):
                return
            if self._duty is not None:
                self._duty.run()
        finally:
            self._started.set()

    def _patiently(self, step: Callable[[], None], then: str = "ready") -> bool:
        """Try a step until it works; ``then`` is the state after it.

        False: the bridge is to stop, the config is wrong, or somebody else leads."""
        failures = 0
        while not self._stopping.is_set():
            try:
                step()
            except LeadLost:
                return False
            except ConfigError as error:
                self.state, self.problems = "config does not fit the account", error.problems
                log.critical("config does not fit the account", problems=error.problems)
                self._stopping.set()
                return False
            except (BridgeError, OSError) as error:
                failures += 1
                self.state = f"waiting: {error}"
                log.error("can't start yet", error=str(error), kind=type(error).__name__)
                self._pause(min(delay(failures), SOON) if isinstance(error, CHEAP_TO_ASK) else delay(failures))
            else:
                self._show(then)
                return True
        return False

    def _pause(self, seconds: float) -> None:
        self._wake.clear()
        if not self._stopping.is_set():
            self._wake.wait(seconds)

    def _show(self, state: str) -> None:
        self.state = state
        if state == "ready":
            self._started.set()

    def _stand_by(self, trouble: str) -> None:
        self._show(f"waiting: {trouble}" if trouble else "ready")

    def _open_door(self) -> None:
        """From here on hooks are taken in, whoever leads."""
        if self._ground is None:
            self._ground = self._shared_ground or Ground.of(self.config)
        if self._leave is None and not self.config.bridge.database.startswith("postgresql"):
            self._leave = presence.enter(self.config.data_folder)
        self._ground.store.prepare()
        key = self._meet_as_web() if self.role == "web" else self._meet_as_worker(self._ground)
        self._gauges = Gauges(self._ground.store, key, self.config.account.url, self._clock)
        self._inbox = Inbox(self._ground.store, key, self._clock, self._ring)

    def _meet_as_web(self) -> int:
        """Without a token: what is needed to take hooks in, a worker has left in the store."""
        assert self._ground is not None
        key = known_key(self._ground.store, self.config.account.url)
        self._secret = known_secret(self.config, self._environment)
        if key is None or self._secret is None:
            raise StoreUnavailable(NOT_MET)
        return key

    def _meet_as_worker(self, ground: Ground) -> int:
        account_clock = AccountClock(self._clock)
        connection = Connection(
            self.config,
            self._environment,
            ground.store,
            account_clock,
            meters=self.meters,
            closing=Closing(self._stopping),
        )
        account = connection.account()
        if problems := unknown_names(self.config, account):
            raise ConfigError(problems)
        key = key_of(ground.store, account, self.config.account.url)
        self._secret = connection.remembered(HOOK_SECRET, lambda: secrets.token_urlsafe(32))
        desk = Desk(
            config=self.config,
            store=ground.store,
            account_key=key,
            connection=connection,
            account=account,
            clock=self._clock,
            account_clock=account_clock,
            settle=self._settle,
            destination=destination(self.config, self._own_url if self.role == "all" else None, self._secret),
            meters=self.meters,
        )
        self._work = LeaderWork(desk, self._patiently, self._show, self._stand_by)
        self._duty = Duty(Leadership(ground.store, key, ground.locks, self._clock), self._work, self._stopping)
        return key

    def _ring(self) -> None:
        if worker := self._worker:
            worker.ring()
