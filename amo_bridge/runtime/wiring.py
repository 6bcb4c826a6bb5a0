"""The workshop: everything that works for an account, put together, ready to be started or moved by hand."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from amo_bridge.channels.port import Port
from amo_bridge.channels.registry import Quay, ports_of, series_chore
from amo_bridge.channels.sender import Traffic, lanes_of
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.alerts import Alarms, TokenWatch
from amo_bridge.engine.evening_digest import Evening
from amo_bridge.engine.event_queue import Outlook
from amo_bridge.engine.processor import Planner
from amo_bridge.engine.retention import Retention, RetentionChore
from amo_bridge.engine.rule_engine import Brain
from amo_bridge.engine.scheduler import Clockwork, ContactDates
from amo_bridge.engine.sender import Sender
from amo_bridge.mirror.contact_refresh import ContactKeeper
from amo_bridge.mirror.deals import Mirror
from amo_bridge.mirror.tasks import reader_of
from amo_bridge.runtime.startup import Desk, pages_of
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
from amo_bridge.sync.initial_load import FirstReading
from amo_bridge.sync.reconciliation import Reconciler
from amo_bridge.sync.subscription_watchdog import Watchdog
from amo_bridge.webinars.bizon_client import Bizon
from amo_bridge.webinars.bizon_import import BizonChore, BizonReports, BizonSettings, Taking
from amo_bridge.webinars.imports.executor import ImportChore, Importer

log = structlog.get_logger()


class Workshop:
    """``store`` and the clients may be those of a leader, who loses them with the lead. ``for_ports`` is a client of
    the ports' own, because they work in other threads; ``ports``: where goes what leaves the house."""

    def __init__(
        self,
        desk: Desk,
        store: Store,
        client: CrmClient,
        for_ports: CrmClient,
        *,
        ports: Callable[[Quay], list[Port]] = ports_of,
    ) -> None:
        self.client = client
        self.brain = self._brain(desk, desk.account, store)
        self._desk = desk
        self._store = store
        self._ports = ports
        self._here = Quay(
            desk.config,
            desk.environment,
            store,
            desk.account_key,
            for_ports,
            lambda: self._planner.brain,
            desk.clock,
            desk.account_clock,
        )
        self._clockwork = Clockwork(store, desk.account_key, desk.account_clock, desk.clock)
        self._contacts = ContactKeeper.of(store, desk.account_key, client, desk.clock, desk.config, desk.account)
        self._contacts.renewed = ContactDates(
            store, desk.account_key, desk.clock, lambda: (self._planner.brain.timetable, self._planner.brain.viewer)
        ).follow
        self._planner = Planner(
            store, desk.account_key, client, self.brain, desk.clock, self._contacts, time_to_answer=desk.settle
        )  # fmt: skip
        self._sender = Sender(
            store,
            desk.account_key,
            client,
            self.brain,
            desk.config.account.url,
            desk.clock,
            settle=desk.settle,
            meters=desk.meters,
        )

    def worker(self) -> Worker:
        """The worker, not started. Raises CrmError, StoreUnavailable."""
        self._clockwork.begin(self.brain.timetable)
        desk, store, key = self._desk, self._store, self._desk.account_key
        traffic = self._traffic(settled=lambda: worker.ring())
        alarms = Alarms(store, key, self.brain, desk.clock)
        looks = self._looks(alarms, lambda: worker.ask(RECONCILE))
        worker = Worker(
            store,
            key,
            self._planner,
            self._sender,
            self._refresh,
            looks,
            traffic,
            tell_of_stop=alarms.tell_of_stop,
            has_work=Outlook(store, key, desk.clock).has_work,
            read_tasks=reader_of(self.client),
        )
        desk.account_clock.jumped = lambda: worker.ask(TIMERS)
        worker.learn(TIMERS, lambda: self._clockwork.tick(lambda: worker.ask(TIMERS)))
        worker.learn(EVENING, Evening(store, key, self.brain, desk.account_clock, desk.clock).run)
        worker.learn(SERIES, series_chore(self._here).run)
        retention = Retention(store, key, desk.clock, desk.config.bridge, lambda: self._planner.brain.timetable)
        worker.learn(RETENTION, RetentionChore(retention, lambda: worker.ask(RETENTION)).run)
        importer = Importer(
            store, key, self.client, lambda: self._planner.brain, desk.clock, desk.account_clock, settle=desk.settle
        )  # fmt: skip
        worker.learn(IMPORTS, ImportChore(importer, lambda: worker.ask(IMPORTS)).run)
        if bizon := _bizon_chore(desk, store, lambda: self._planner.brain, lambda: worker.ask(BIZON)):
            worker.learn(BIZON, bizon.run)
        worker.learn(FIRST_READING, self._first_reading(lambda: worker.ask(FIRST_READING)).run)
        return worker

    def _first_reading(self, again: Callable[[], None]) -> FirstReading:
        desk = self._desk
        reading = FirstReading(self._store, desk.account_key, self.client, desk.account_clock, self._contacts, again)
        reading.meet()
        return reading

    def _looks(self, alarms: Alarms, again: Callable[[], None]) -> dict[str, Callable[[], object]]:
        """What is looked for outside, by itself. ``again`` goes on with a long look for missed changes."""
        desk, store, key = self._desk, self._store, self._desk.account_key
        reconciler = Reconciler(store, key, self.client, desk.clock, desk.account_clock, self._contacts, again)
        reconciler.begin()
        look: Callable[[], object] = reconciler.run
        if desk.destination:
            look = Watchdog(store, key, self.client, desk.clock, reconciler, desk.destination, alarms.tell).run
        token_watch = TokenWatch(lambda: desk.connection.token_ends_at, desk.clock, alarms.tell)
        return {RECONCILE: look, TOKEN_WATCH: token_watch.run}

    def _traffic(self, settled: Callable[[], None]) -> Traffic:
        desk = self._desk
        ports = self._ports(self._here)
        return Traffic(lanes_of(ports, self._store, desk.account_key, desk.clock, desk.account_clock, settled))

    def _refresh(self) -> None:
        log.info("reading the account again: something unknown appeared")
        account = self._desk.connection.account(refresh=True)
        self.brain = self._planner.brain = self._sender.brain = self._brain(self._desk, account, self._store)
        self._clockwork.begin(self.brain.timetable)

    @staticmethod
    def _brain(desk: Desk, account: Account, store: Store) -> Brain:
        mirror = Mirror(store, desk.account_key)
        return Brain.of(desk.config, account, desk.account_clock, mirror.record, pages_of(desk.destination, desk.under))


def _bizon_chore(desk: Desk, store: Store, brain: Callable[[], Brain], again: Callable[[], None]) -> BizonChore | None:
    """None where the config has no ``[webinar.bizon]``."""
    section = desk.config.webinar.bizon if desk.config.webinar else None
    if section is None:
        return None
    settings = BizonSettings(desk.config, desk.environment)
    taking = Taking(store, desk.account_key, brain, desk.clock, pages_of(desk.destination))
    return BizonChore(
        BizonReports(store, desk.account_key, desk.clock),
        # The token is read each time: it may have been typed a moment ago.
        lambda webinar_id: Bizon(section.api, settings.token).viewers(webinar_id),
        taking,
        again,
    )
