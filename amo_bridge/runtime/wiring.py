"""The workshop: everything that works for an account, put together, ready to be started or moved by hand."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from amo_bridge.channels.port import Port
from amo_bridge.channels.registry import ChannelContext, ports_of, series_job
from amo_bridge.channels.sender import ChannelWorkers, channel_senders
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.alerts import Alerts, TokenExpiryCheck
from amo_bridge.engine.evening_digest import EveningDigest
from amo_bridge.engine.event_queue import PendingWork
from amo_bridge.engine.processor import EventProcessor
from amo_bridge.engine.retention import Retention, RetentionJob
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.scheduler import ContactDates, Scheduler
from amo_bridge.engine.sender import Sender
from amo_bridge.mirror.contact_refresh import ContactRefresher
from amo_bridge.mirror.deals import Mirror
from amo_bridge.mirror.tasks import reader_of
from amo_bridge.runtime.startup import AccountContext, pages_of
from amo_bridge.runtime.worker import (
    BIZON,
    EVENING,
    FIRST_READING,
    IMPORTS,
    RECONCILE,
    RETENTION,
    SERIES,
    TIMERS,
    TOKEN_WATCH,
    Worker,
)
from amo_bridge.storage.database import Store
from amo_bridge.sync.initial_load import MirrorLoad
from amo_bridge.sync.reconciliation import Reconciler
from amo_bridge.sync.subscription_watchdog import Watchdog
from amo_bridge.webinars.bizon_client import Bizon
from amo_bridge.webinars.bizon_import import BizonJob, BizonReports, BizonSettings, Taking
from amo_bridge.webinars.imports.executor import ImportExecutor, ImportJob

log = structlog.get_logger()


class CompositionRoot:
    """``store`` and the clients may be those of a leader, who loses them with the lead. ``for_ports`` is a client of
    the ports' own, because they work in other threads; ``ports``: where goes what leaves the house."""

    def __init__(
        self,
        desk: AccountContext,
        store: Store,
        client: CrmClient,
        for_ports: CrmClient,
        *,
        ports: Callable[[ChannelContext], list[Port]] = ports_of,
    ) -> None:
        self.client = client
        self.rule_engine = self._rule_engine(desk, desk.account, store)
        self._desk = desk
        self._store = store
        self._ports = ports
        self._here = ChannelContext(
            desk.config,
            desk.environment,
            store,
            desk.account_id,
            for_ports,
            lambda: self._planner.rule_engine,
            desk.clock,
            desk.account_clock,
        )
        self._clockwork = Scheduler(store, desk.account_id, desk.account_clock, desk.clock)
        self._contacts = ContactRefresher.of(store, desk.account_id, client, desk.clock, desk.config, desk.account)
        self._contacts.renewed = ContactDates(
            store,
            desk.account_id,
            desk.clock,
            lambda: (self._planner.rule_engine.timetable, self._planner.rule_engine.viewer),
        ).follow
        self._planner = EventProcessor(
            store, desk.account_id, client, self.rule_engine, desk.clock, self._contacts, time_to_answer=desk.settle
        )  # fmt: skip
        self._sender = Sender(
            store,
            desk.account_id,
            client,
            self.rule_engine,
            desk.config.account.url,
            desk.clock,
            settle=desk.settle,
            meters=desk.meters,
        )

    def worker(self) -> Worker:
        """The worker, not started. Raises CrmError, StoreUnavailable."""
        self._clockwork.begin(self.rule_engine.timetable)
        desk, store, key = self._desk, self._store, self._desk.account_id
        traffic = self._traffic(settled=lambda: worker.wake())
        alarms = Alerts(store, key, self.rule_engine, desk.clock)
        looks = self._looks(alarms, lambda: worker.request_job(RECONCILE))
        worker = Worker(
            store,
            key,
            self._planner,
            self._sender,
            self._refresh,
            looks,
            traffic,
            tell_of_stop=alarms.tell_of_stop,
            has_work=PendingWork(store, key, desk.clock).has_work,
            read_tasks=reader_of(self.client),
        )
        desk.account_clock.jumped = lambda: worker.request_job(TIMERS)
        worker.register_job(TIMERS, lambda: self._clockwork.tick(lambda: worker.request_job(TIMERS)))
        worker.register_job(EVENING, EveningDigest(store, key, self.rule_engine, desk.account_clock, desk.clock).run)
        worker.register_job(SERIES, series_job(self._here).run)
        retention = Retention(store, key, desk.clock, desk.config.bridge, lambda: self._planner.rule_engine.timetable)
        worker.register_job(RETENTION, RetentionJob(retention, lambda: worker.request_job(RETENTION)).run)
        importer = ImportExecutor(
            store,
            key,
            self.client,
            lambda: self._planner.rule_engine,
            desk.clock,
            desk.account_clock,
            settle=desk.settle,
        )
        worker.register_job(IMPORTS, ImportJob(importer, lambda: worker.request_job(IMPORTS)).run)
        if bizon := _bizon_chore(desk, store, lambda: self._planner.rule_engine, lambda: worker.request_job(BIZON)):
            worker.register_job(BIZON, bizon.run)
        worker.register_job(FIRST_READING, self._first_reading(lambda: worker.request_job(FIRST_READING)).run)
        return worker

    def _first_reading(self, again: Callable[[], None]) -> MirrorLoad:
        desk = self._desk
        reading = MirrorLoad(self._store, desk.account_id, self.client, desk.account_clock, self._contacts, again)
        reading.meet()
        return reading

    def _looks(self, alarms: Alerts, again: Callable[[], None]) -> dict[str, Callable[[], object]]:
        """What is looked for outside, by itself. ``again`` goes on with a long look for missed changes."""
        desk, store, key = self._desk, self._store, self._desk.account_id
        reconciler = Reconciler(store, key, self.client, desk.clock, desk.account_clock, self._contacts, again)
        reconciler.begin()
        look: Callable[[], object] = reconciler.run
        if desk.destination:
            look = Watchdog(store, key, self.client, desk.clock, reconciler, desk.destination, alarms.tell).run
        token_watch = TokenExpiryCheck(lambda: desk.connection.token_ends_at, desk.clock, alarms.tell)
        return {RECONCILE: look, TOKEN_WATCH: token_watch.run}

    def _traffic(self, settled: Callable[[], None]) -> ChannelWorkers:
        desk = self._desk
        ports = self._ports(self._here)
        return ChannelWorkers(
            channel_senders(ports, self._store, desk.account_id, desk.clock, desk.account_clock, settled)
        )

    def _refresh(self) -> None:
        log.info("reading the account again: something unknown appeared")
        account = self._desk.connection.account(refresh=True)
        self.rule_engine = self._planner.rule_engine = self._sender.rule_engine = self._rule_engine(
            self._desk, account, self._store
        )
        self._clockwork.begin(self.rule_engine.timetable)

    @staticmethod
    def _rule_engine(desk: AccountContext, account: Account, store: Store) -> RuleEngine:
        mirror = Mirror(store, desk.account_id)
        return RuleEngine.of(
            desk.config, account, desk.account_clock, mirror.record, pages_of(desk.destination, desk.under)
        )


def _bizon_chore(
    desk: AccountContext, store: Store, rule_engine: Callable[[], RuleEngine], again: Callable[[], None]
) -> BizonJob | None:
    """None where the config has no ``[webinar.bizon]``."""
    section = desk.config.webinar.bizon if desk.config.webinar else None
    if section is None:
        return None
    settings = BizonSettings(desk.config, desk.environment)
    taking = Taking(store, desk.account_id, rule_engine, desk.clock, pages_of(desk.destination))
    return BizonJob(
        BizonReports(store, desk.account_id, desk.clock),
        # The token is read each time: it may have been typed a moment ago.
        lambda webinar_id: Bizon(section.api, settings.token).viewers(webinar_id),
        taking,
        again,
    )
