"""What only the leader of an account does: fill the mirror, see to the hook, decode, judge, send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic

import structlog

from amo_bridge.channels.ports import Surroundings, ports_of, series_chore
from amo_bridge.clock import AccountClock, Clock
from amo_bridge.config.against_account import unknown_names
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.subscription import subscribe
from amo_bridge.engine.alarms import Alarms
from amo_bridge.engine.brain import Brain
from amo_bridge.engine.clockwork import Clockwork
from amo_bridge.engine.connection import Connection
from amo_bridge.engine.fill import Fill
from amo_bridge.engine.imports.chore import ImportChore
from amo_bridge.engine.imports.runner import Importer
from amo_bridge.engine.lanes.lane import lanes_of
from amo_bridge.engine.lanes.traffic import Traffic
from amo_bridge.engine.leader import Lead, LedStore
from amo_bridge.engine.meters import AccountMeters
from amo_bridge.engine.mirror import Mirror
from amo_bridge.engine.planner import Planner
from amo_bridge.engine.reconcile import Reconciler
from amo_bridge.engine.retention import Retention, RetentionChore
from amo_bridge.engine.sender import Sender
from amo_bridge.engine.store import Store
from amo_bridge.engine.ticker import IMPORTS, RECONCILE, RETENTION, SERIES, TIMERS, TOKEN_WATCH, Ticker
from amo_bridge.engine.token_watch import TokenWatch
from amo_bridge.engine.watchdog import Watchdog
from amo_bridge.engine.worker import Worker

log = structlog.get_logger()
# A standby may wait for weeks, and the account's names change meanwhile.
NAMES_KEEP = 60.0


@dataclass
class Desk:
    """All that the work needs. ``destination``: where amoCRM is to send its hooks, if that is known."""

    config: Config
    store: Store
    account_key: int
    connection: Connection
    account: Account
    clock: Clock
    account_clock: AccountClock
    settle: float
    destination: str | None
    meters: AccountMeters
    environment: Mapping[str, str] = field(default_factory=dict)


class LeaderWork:
    """See duty.Work. ``patiently`` tries a step until it works, ``show`` tells how far the beginning is, ``stand_by``
    hears that somebody else leads."""

    def __init__(
        self,
        desk: Desk,
        patiently: Callable[[Callable[[], None]], bool],
        show: Callable[[str], None],
        stand_by: Callable[[str], None],
    ) -> None:
        self.worker: Worker | None = None
        self.wants_to_begin_anew = False
        self.stand_by = stand_by
        self._desk = desk
        self._patiently = patiently
        self._show = show
        self._names_read_at = monotonic()
        self._ticker = Ticker()

    @property
    def token_ends_at(self) -> float | None:
        """See Connection."""
        return self._desk.connection.token_ends_at

    def begin(self, lead: Lead) -> bool:
        return self._patiently(lambda: self._begin(lead))

    def goes_on(self) -> bool:
        return self.worker is not None and not self.worker.has_lost_lead

    def misfits(self, config: Config) -> list[str]:
        """Names that the account does not know; it is asked anew before that is said. Raises BridgeError."""
        desk = self._desk
        problems = unknown_names(config, desk.account)
        if problems:
            desk.account = desk.connection.account(refresh=True)
            problems = unknown_names(config, desk.account)
        return problems

    def take_config(self, config: Config) -> None:
        """The next beginning is by this config, and it comes soon: see Duty."""
        self._desk.config = config
        self.wants_to_begin_anew = True

    def end(self) -> None:
        self._ticker.stop()
        if self.worker:
            self.worker.stop()
        self.worker = None

    def _begin(self, lead: Lead) -> None:
        desk = self._desk
        self.wants_to_begin_anew = False
        if monotonic() - self._names_read_at > NAMES_KEEP:
            desk.account = desk.connection.account()
        store = LedStore(desk.store, lead)
        client = desk.connection.client(before_send=lead.check)
        brain = self._brain(desk.account, store)
        fill = Fill(store, desk.account_key, client, desk.clock, desk.account_clock, brain.timetable)
        fill.meet()
        worker = self._make_worker(store, client, brain, desk.connection.client(before_send=lead.check))
        if desk.destination:
            subscribe(client, desk.destination)
        fill.run(self._show_filling)
        worker.ask(RECONCILE)
        worker.ask(RETENTION)
        worker.ask(TOKEN_WATCH)
        worker.ask(TIMERS)
        worker.ask(IMPORTS)
        worker.start()
        self.worker = worker
        self._ticker.start(worker)
        rules = sum(rule.enabled for rule in desk.config.rules)
        log.info("ready", account=desk.account.subdomain, rules=rules)

    def _brain(self, account: Account, store: Store) -> Brain:
        mirror = Mirror(store, self._desk.account_key)
        return Brain.of(self._desk.config, account, self._desk.account_clock, mirror.record)

    def _make_worker(self, store: Store, client: CrmClient, brain: Brain, for_ports: CrmClient) -> Worker:
        """``for_ports``: a client of their own, because they work in other threads."""
        desk = self._desk
        key = desk.account_key
        clockwork = Clockwork(store, key, desk.account_clock, desk.clock)
        clockwork.begin(brain.timetable)
        planner = Planner(store, key, client, brain, desk.clock, time_to_answer=desk.settle)
        sender = Sender(
            store, key, client, brain, desk.config.account.url, desk.clock, settle=desk.settle, meters=desk.meters
        )  # fmt: skip

        def refresh() -> None:
            log.info("reading the account again: something unknown appeared")
            account = desk.connection.account(refresh=True)
            planner.brain = sender.brain = self._brain(account, store)
            clockwork.begin(planner.brain.timetable)

        reconciler = Reconciler(store, key, client, desk.clock)
        reconciler.begin()
        look: Callable[[], object] = reconciler.run
        alarms = Alarms(store, key, brain, desk.clock)
        if desk.destination:
            look = Watchdog(store, key, client, desk.clock, reconciler, desk.destination, alarms.tell).run
        token_watch = TokenWatch(lambda: desk.connection.token_ends_at, desk.clock, alarms.tell)
        chores: dict[str, Callable[[], object]] = {RECONCILE: look, TOKEN_WATCH: token_watch.run}
        here = Surroundings(
            desk.config, desk.environment, store, key, for_ports, lambda: planner.brain, desk.clock, desk.account_clock
        )
        lanes = lanes_of(ports_of(here), store, key, desk.clock, desk.account_clock, settled=lambda: worker.ring())
        traffic = Traffic(lanes)
        worker = Worker(store, key, planner, sender, refresh, chores, traffic)
        retention = Retention(store, key, desk.clock, desk.config.bridge)
        worker.learn(TIMERS, lambda: clockwork.tick(lambda: worker.ask(TIMERS)))
        worker.learn(SERIES, series_chore(here).run)
        worker.learn(RETENTION, RetentionChore(retention, lambda: worker.ask(RETENTION)).run)
        importer = Importer(
            store, key, client, lambda: planner.brain, desk.clock, desk.account_clock, settle=desk.settle
        )  # fmt: skip
        worker.learn(IMPORTS, ImportChore(importer, lambda: worker.ask(IMPORTS)).run)
        return worker

    def _show_filling(self, deals: int) -> None:
        self._show(f"filling the mirror: {deals} deals read")
