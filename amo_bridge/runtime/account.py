"""Runtime of one account: its receiver, its services for pages, its leader loop."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from amo_bridge import file_lock
from amo_bridge.clock import Clock, SystemClock
from amo_bridge.config.account_fit import Fit
from amo_bridge.config.model import Config
from amo_bridge.crm.client import Shutdown
from amo_bridge.engine.inbox import Inbox, Settle
from amo_bridge.engine.metrics import HealthReader, HealthSnapshot, Metrics
from amo_bridge.errors import BridgeError, ConfigError, StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.retry import SETTLE, StartupRetry
from amo_bridge.runtime.config_reload import ConfigWatch
from amo_bridge.runtime.leader_election import LeaderElection, LeaderLoop
from amo_bridge.runtime.oauth_flow import Connecting
from amo_bridge.runtime.shared import SharedResources
from amo_bridge.runtime.startup import (
    TOLD,
    AccountContext,
    KnownAccount,
    LastFit,
    by_asking,
    by_what_a_worker_left,
    known_fit,
)
from amo_bridge.storage.accounts import amo_id_of
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import KeptSecrets, account_name

if TYPE_CHECKING:
    # Webhooks are taken in before the engine is imported; a process that only takes them in never needs it.
    from amo_bridge.intake.repository import IntakeAddresses, IntakeInbox
    from amo_bridge.runtime.leader import Leader
    from amo_bridge.runtime.worker import Worker

CONFIG_BROKEN = "config is broken"
Role = Literal["all", "web", "worker"]
"""web: only take hooks in; worker: only work; all: both."""


# One account's runtime: the inbox for webhooks and the worker behind it, started and stopped as one.


class AccountRuntime:
    """``start()`` returns at once: the connecting goes on in a thread, and hooks are answered 503 until it is done.

    ``role``: "web" only takes hooks in, "worker" only works, "all" does both. Of all that work for an account one leads
    and the others stand by. ``resources`` is given when it is shared with other accounts; then somebody else closes it.
    ``mistakes``: what is wrong with the config's file; until somebody has mended it, hooks are taken in and wait, and
    ``config`` is what could be read.
    """

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str],
        own_url: str,
        *,
        role: Role = "all",
        resources: SharedResources | None = None,
        clock: Clock | None = None,
        settle: float = SETTLE,
        meters: Metrics | None = None,
        under: str = "",
        mistakes: Sequence[str] = (),
    ) -> None:
        self.config = config
        self.role = role
        self.state = "starting"
        self.problems: list[str] = []
        self._secrets_kept = KeptSecrets(config, environment)
        self.environment: Mapping[str, str] = self._secrets_kept
        self._own_url, self._under = own_url, under
        self.clock = clock or SystemClock()
        self._settle = settle
        self.meters = (meters or Metrics()).of(account_name(config))
        self._health: HealthReader | None = None
        self._leave: Callable[[], None] | None = None
        self._shared_resources = resources
        self._resources: SharedResources | None = resources
        self._resources_lock = threading.Lock()
        self._inbox: Inbox | None = None
        self._intake: IntakeInbox | None = None
        self._addresses: IntakeAddresses | None = None
        self._secret: str | None = None
        self._amo_id: int | None = None
        self._connecting: Connecting | None = None
        self._leader_loop: LeaderLoop | None = None
        self._work: Leader | None = None
        self._last_fit = LastFit()
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._tried_early = threading.Event()
        self._retry = StartupRetry(self._stopping, self._show, self._misfit)
        self._repaired = threading.Event()
        self.watch = ConfigWatch(self, self.environment, self.clock, problems=mistakes)
        self._thread = threading.Thread(target=self._live, name="bridge", daemon=True)

    # --- what the web side sees ---

    @property
    def is_opening(self) -> bool:
        return self._inbox is None

    def receiver(self, secret: str) -> Self | None:
        """This account, if the secret is its own."""
        if self._inbox is None or self._secret is None:
            return None
        return self if hmac.compare_digest(secret.encode(), self._secret.encode()) else None

    def put(self, body: bytes) -> None:
        assert self._inbox is not None
        self._inbox.put(body)

    def put_later(self, body: bytes, settle: Settle[None]) -> None:
        """See CommitQueue."""
        assert self._inbox is not None
        self._inbox.put_later(body, settle)

    @property
    def intake(self) -> IntakeInbox:
        """Where requests of vendors go in. Raises StoreUnavailable while that is not open yet."""
        if self._intake is None:
            raise StoreUnavailable("мост запускается")
        return self._intake

    @property
    def intake_addresses(self) -> IntakeAddresses:
        """Where vendors post, by the config in force."""
        known = self._addresses
        if known is None or known.config is not self.config:
            from amo_bridge.intake.repository import IntakeAddresses

            known = self._addresses = IntakeAddresses(self.config, self.environment)
        return known

    def disconnect(self, told: Mapping[str, str]) -> bool:
        """See Connecting."""
        assert self._connecting is not None
        assert self._amo_id is not None
        is_amocrm = self._connecting.disconnect(told, self._amo_id)
        if is_amocrm and (worker := self._worker):
            from amo_bridge.runtime.worker import RECONCILE

            # It finds out at once that it may not, and says so, even if it is waiting out some other outage.
            worker.request_job(RECONCILE)
            worker.try_again()
        return is_amocrm

    def connections(self) -> list[Connecting]:
        """How this account is connected. Raises StoreUnavailable while that is not known yet."""
        if self._connecting is None:
            raise StoreUnavailable("мост запускается")
        return [self._connecting]

    def request_job(self, job: str) -> None:
        """A page has begun or stopped what the leader looks for every few seconds: this process looks at once."""
        if worker := self._worker:
            worker.request_job(job)

    @property
    def is_ready(self) -> bool:
        return self.state in ("ready", CONFIG_BROKEN) and not self.trouble

    @property
    def is_leading(self) -> bool:
        """Does this process work for the account just now? Not yet while it is only beginning to lead."""
        return self._leader_loop is not None and self._leader_loop.is_leading and self._worker is not None

    @property
    def trouble(self) -> str:
        """What the worker is waiting out, if anything; or why the store keeps nothing."""
        worker = self._worker
        store = self._resources.store.outage if self._resources else ""
        return (worker.trouble if worker else "") or store

    def health(self) -> dict[str, Any]:
        """For the health page."""
        from amo_bridge.engine import alerts

        ends_at = self.token_ends_at
        return {
            "status": self.state,
            "role": self.role,
            "leading": self.is_leading,
            "trouble": self.trouble,
            "problems": self.problems,
            "issues": self._issues(),
            "channels": self.channel_outages,
            "mailboxes": self.mailbox_outages,
            "token_ends_at": None if ends_at is None else datetime.fromtimestamp(ends_at, UTC).isoformat(),
            "token_warning": alerts.warning(ends_at, self.clock.now()),
            **self._counts(),
        }

    @property
    def token_ends_at(self) -> float | None:
        """When amoCRM's token dies (Unix seconds), if that is known."""
        return self._work.token_ends_at if self._work else None

    @property
    def requests_per_second(self) -> float:
        """How many requests the account may get from this integration, whatever the number of processes."""
        return self.config.account.requests_per_second

    def _issues(self) -> list[str]:
        """Broken rules and renamed names: somebody should look, and everything else works."""
        if self._health is None:
            # The store may have no tables yet.
            return list(self.watch.state.problems)
        try:
            fit = self.fit
        except (StoreUnavailable, OSError):
            return list(self.watch.state.problems)
        broken = [f"{rule}: {why}" for rule, why in fit.broken.items()]
        boxes = [f"почта: {words}" for words in self.mailbox_outages.values()]
        channels = [f"канал {name}: {words}" for name, words in self.channel_outages.items()]
        return [*self.watch.state.problems, *broken, *fit.lines_beside_broken(*TOLD), *boxes, *channels]

    @property
    def channel_outages(self) -> dict[str, str]:
        """Channel → why nothing goes out by it just now (Russian), where this process leads."""
        return self._worker.channels.outages if self._worker else {}

    @property
    def mailbox_outages(self) -> dict[str, str]:
        """Mailbox → why it can't be read just now (Russian), where this process leads."""
        mail = self._work.mail if self._work else None
        return mail.outages if mail else {}

    def _counts(self) -> dict[str, Any]:
        try:
            snapshot = self.health_snapshot()
        except StoreUnavailable as error:
            return {"store": str(error), "counts": None}
        return {"store": "up" if snapshot else "not opened yet", "counts": snapshot.to_json() if snapshot else None}

    def observed(self) -> list[Self]:
        """Whom /metrics tells of: this account."""
        return [self]

    def by_name(self) -> dict[str, Self]:
        """The accounts that have pages, by the name they go by there: this one."""
        return {self.config.path.stem: self}

    def broken(self) -> dict[str, list[str]]:
        """This account's config could be read."""
        return {}

    @property
    def resources(self) -> SharedResources:
        """The store and the locks, also before webhooks are taken in. Raises StoreUnavailable, OSError."""
        with self._resources_lock:
            if self._leave is None and not self.config.bridge.database.startswith("postgresql"):
                self._leave = file_lock.enter(self.config.data_folder)
            if self._resources is None:
                self._resources = SharedResources.of(self.config)
            return self._resources

    @property
    def process_metrics(self) -> Metrics:
        return self.meters.process

    def health_snapshot(self) -> HealthSnapshot | None:
        """What waits, what has failed; None while the store has not been opened. Raises StoreUnavailable."""
        return self._health.read() if self._health else None

    @property
    def _worker(self) -> Worker | None:
        return self._work.worker if self._work else None

    # --- the config, see ConfigWatch ---

    def misfits(self, config: Config) -> list[str]:
        """Names that the account does not know. Raises BridgeError."""
        if self._work is not None:
            return self._work.misfits(config)
        if self.role != "web":
            # Who has not met the account yet will compare them then.
            return []
        store = self.resources.store
        before = known_fit(self.config, self.environment, store)
        return known_fit(config, self.environment, store).new_problems(before)

    @property
    def fit(self) -> Fit:
        """The config compared with the account as far as its names are known. Raises StoreUnavailable."""
        if self._work is not None and (at_work := self._work.fit).written is self.config:
            return at_work
        # A config taken a moment ago, or by a standby.
        return self._last_fit.read(self.config, self.environment, self.resources.store)

    def secrets_changed(self) -> bool:
        """Have pages kept others than those in force? They are read anew."""
        return self._secrets_kept.changed()

    def keep_secret(self, name: str, value: str, *, instead_of: str | None = None) -> None:
        """See KeptSecrets.keep: a vendor's secret that was typed on a page."""
        self._secrets_kept.keep(name, value, instead_of=instead_of)

    def is_set_outside(self, name: str) -> bool:
        """Does the environment hold this secret? Then no page can change it."""
        return self._secrets_kept.is_set_outside(name)

    def take_config(self, config: Config) -> None:
        """It is in force from now on; whoever leads begins anew with it, between two rounds."""
        self._secrets_kept.take()
        self.config = config
        if not self._repaired.is_set():
            self._repaired.set()
            self._retry.wake()
        if self._work is not None and self._leader_loop is not None:
            self._work.take_config(config)
            self._leader_loop.call()

    # --- life ---

    def start(self) -> None:
        self._thread.start()
        self.watch.start()

    def wait_started(self) -> None:
        """Returns when the connecting is over: at work or standing by, stopped, or the config found wrong
        (``problems``)."""
        self._started.wait()

    def wait_receiving(self, timeout: float) -> None:
        """Returns when webhooks are taken in, or it is known that they can't be yet."""
        self._tried_early.wait(timeout)

    def try_again(self) -> None:
        """Something has changed (the account was connected): don't wait out the pause."""
        self._retry.wake()
        if worker := self._worker:
            worker.try_again()

    def begin_to_stop(self) -> None:
        """Nothing new is begun; ``stop`` waits for what is in hand."""
        self._stopping.set()
        self._retry.wake()
        if self._leader_loop:
            self._leader_loop.call()

    def stop(self) -> None:
        """Stop taking hooks, finish what is in hand, let others lead, close the store. What is not done stays in it."""
        self.watch.stop()
        self.begin_to_stop()
        if self._thread.ident is not None:
            self._thread.join(60)
        for taken_in in (self._inbox, self._intake):
            if taken_in:
                taken_in.close()
        if self._resources and self._shared_resources is None:
            self._resources.close()
        if self._leave:
            self._leave()
        self.state = "stopped"

    @property
    def is_without_config(self) -> bool:
        """Has the file been wrong since the start, so that no rule works?"""
        return not self.watch.mark_in_force and bool(self.watch.state.problems)

    def _live(self) -> None:
        try:
            if self.is_without_config and not self._wait_for_config():
                return
            # Hooks are taken in from here on; a worker is ready only when it works or knows that somebody else does.
            if not self._retry(self._open_inbox, "ready" if self.role == "web" else "inbox open"):
                return
            if self._leader_loop is not None:
                self._leader_loop.run()
        finally:
            self._started.set()

    def _take_in_early(self) -> None:
        """Webhooks of an account that was met before need not wait until amoCRM has been asked for its names."""
        try:
            self._open_receiver()
        except (BridgeError, ConfigError, OSError) as error:
            # It is a new one, or what is wrong is told by whoever opens it in earnest.
            log.info("webhooks wait until the account is read", reason=str(error))
        finally:
            self._tried_early.set()

    def _wait_for_config(self) -> bool:
        """Take hooks in, and wait until the file is mended. False: the bridge is to stop."""
        if not self._retry(self._open_receiver, CONFIG_BROKEN):
            return False
        while not self._repaired.wait(0.2):
            if self._stopping.is_set():
                return False
        return not self._stopping.is_set()

    def _open_receiver(self) -> None:
        """Hooks of an account that was met before are kept; they are judged when there are rules again."""
        resources = self.resources
        resources.store.prepare()
        if self._repaired.is_set():
            return
        if self._connecting is None:
            self._connecting = Connecting(self.config, self.environment, resources.store, revived=self.try_again)
        known = by_what_a_worker_left(self.config, self.environment, resources.store)
        self._secret = known.secret
        self._amo_id = amo_id_of(known.store)
        self._take_in(known.store)

    def _misfit(self, problems: list[str]) -> None:
        self.state, self.problems = "config does not fit the account", problems

    def _show(self, state: str) -> None:
        self.state = state
        if state == "ready":
            self._started.set()

    def _stand_by(self, trouble: str) -> None:
        self._show(f"waiting: {trouble}" if trouble else "ready")

    def _open_inbox(self) -> None:
        """From here on hooks are taken in, whoever leads."""
        if self._inbox is None:
            # At each try: the store may be back before amoCRM is.
            self._take_in_early()
        resources = self.resources
        resources.store.prepare()
        if self._connecting is None:
            self._connecting = Connecting(self.config, self.environment, resources.store, revived=self.try_again)
        known = self._identify(resources)
        self._secret = known.secret
        self._amo_id = amo_id_of(known.store)
        if known.context:
            self._join_election(resources, known.context)
        self._take_in(known.store)

    def _take_in(self, store: AccountStore) -> None:
        """Take in what comes for this account from here on."""
        self._health = HealthReader(store, self.config.account.url, self.clock)
        if self._inbox is not None and self._inbox.account_id == store.account_id:
            return
        inbox, self._inbox = self._inbox, Inbox(store, self.clock, self.wake)
        from amo_bridge.intake.repository import IntakeInbox

        intake, self._intake = self._intake, IntakeInbox(store, self.clock, self.wake)
        for closing in (inbox, intake):
            if closing is not None:
                closing.close()
        self._tried_early.set()

    def _identify(self, resources: SharedResources) -> KnownAccount:
        if self.role == "web":
            return by_what_a_worker_left(self.config, self.environment, resources.store)
        return by_asking(
            self.config,
            self.environment,
            resources.store,
            own_url=self._own_url if self.role == "all" else None,
            under=self._under,
            clock=self.clock,
            settle=self._settle,
            meters=self.meters,
            closing=Shutdown(self._stopping),
        )

    def _join_election(self, resources: SharedResources, context: AccountContext) -> None:
        from amo_bridge.runtime.leader import Leader

        self._work = Leader(context, self._retry, self._show, self._stand_by)
        leadership = LeaderElection(context.store, resources.locks, self.clock)
        self._leader_loop = LeaderLoop(leadership, self._work, self._stopping)
        resources.notifier.subscribe(context.store.account_id, self.wake)

    def wake(self) -> None:
        """There is something to do."""
        if worker := self._worker:
            worker.wake()
