"""Composition root: all parts that work for an account, put together and not yet started."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from amo_bridge.advertising.check import AdCheckJob
from amo_bridge.advertising.poll import ad_polls
from amo_bridge.channels.jobs import (
    button_job,
    megaplan_job,
    roistat_costs_job,
    roistat_job,
    series_job,
    sheet_jobs,
    spend_sheet_job,
)
from amo_bridge.channels.port import Port
from amo_bridge.channels.registry import ChannelContext, ports_of
from amo_bridge.channels.sender import ChannelWorkers, Sending, channel_senders
from amo_bridge.channels.vendor_states import VendorStates
from amo_bridge.channels.vendors import connected_vendors
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.ad_campaigns import campaign_fields
from amo_bridge.engine.alerts import Alerts, TokenExpiryCheck
from amo_bridge.engine.deal_view import CardNames
from amo_bridge.engine.evening_digest import EveningDigest
from amo_bridge.engine.event_queue import PendingWork
from amo_bridge.engine.freshness import NewDeals
from amo_bridge.engine.metrics import RequestLog
from amo_bridge.engine.policies import PolicyJob
from amo_bridge.engine.processor import EventProcessor
from amo_bridge.engine.retention import Retention, RetentionJob
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.engine.scheduler import ContactDates, Scheduler
from amo_bridge.engine.sender import Sender
from amo_bridge.engine.shift_starts import ShiftStartJob
from amo_bridge.errors import UnknownName
from amo_bridge.intake.call_history import CallHistory, asked_exchanges
from amo_bridge.intake.mail import SOURCE
from amo_bridge.intake.mail_reader import LetterFiles, MailboxReader, MailReaders
from amo_bridge.intake.mailbox import MailboxConnection, MailboxSecret
from amo_bridge.intake.pipedrive_poll import pipedrive_poll
from amo_bridge.intake.processing import EnquiryProcessor
from amo_bridge.intake.reception import settings_of
from amo_bridge.intake.vk_leads import lead_poll
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import ContactRefresher
from amo_bridge.mirror.deals import Mirror, follow_fields
from amo_bridge.mirror.facts import FactLog
from amo_bridge.mirror.tasks import reader_of
from amo_bridge.reports.daily import DailyReportJob
from amo_bridge.reports.kpi_days import KpiJob, KpiRows, LossRows
from amo_bridge.reports.pay_terms import watched_fields
from amo_bridge.reports.week import WeeklyLetter
from amo_bridge.runtime.startup import TOLD, AccountContext, pages_of
from amo_bridge.runtime.updates import UpdateCheck
from amo_bridge.runtime.worker import (
    ADS_CHECK,
    BIZON,
    CALLS,
    DAILY_REPORTS,
    EVENING,
    FIRST_READING,
    IMPORTS,
    KPI_DAYS,
    NAMES,
    POLICIES,
    RECONCILE,
    RETENTION,
    SERIES,
    SHIFT_STARTS,
    TIMERS,
    TOKEN_WATCH,
    UPDATES,
    WEEKLY_LETTER,
    Worker,
)
from amo_bridge.storage.database import AccountStore
from amo_bridge.sync.initial_load import MirrorLoad
from amo_bridge.sync.reconciliation import Reconciler
from amo_bridge.sync.subscription import Watchdog
from amo_bridge.webinars.bizon import Bizon, BizonImport, BizonJob, BizonReports, BizonSettings
from amo_bridge.webinars.imports.executor import ImportExecutor, ImportJob


class CompositionRoot:
    """``store`` and the clients may be those of a leader, who loses them with the lead. ``for_ports`` is a client of
    the ports' own, because they work in other threads; ``ports``: the ways out past amoCRM."""

    def __init__(
        self,
        context: AccountContext,
        store: AccountStore,
        client: CrmClient,
        for_ports: CrmClient,
        *,
        ports: Callable[[ChannelContext], list[Port]] = ports_of,
    ) -> None:
        self.client = client
        self._card_names = CardNames(store, client, context.clock)
        self.rules = CurrentRules(self._rule_engine(context, store))
        self._context = context
        self._store = store
        self._ports = ports
        self._channel_context = ChannelContext(
            context.fit.config,
            context.environment,
            store,
            for_ports,
            self.rules.get,
            context.clock,
            context.account_clock,
        )
        self._scheduler = Scheduler(store, context.account_clock, context.clock)
        self._contacts = ContactRefresher.of(store, client, context.clock, context.fit.config, context.account)
        self._contacts.renewed = ContactDates(store, context.clock, self.rules).follow
        new_deals = NewDeals(context.clock)
        self._processor = EventProcessor(
            store,
            client,
            self.rules,
            context.clock,
            self._contacts,
            time_to_answer=context.settle,
            new_deals=new_deals,
        )
        self._sender = Sender(
            store,
            client,
            self.rules,
            context.config.account.url,
            context.clock,
            settle=context.settle,
            meters=context.meters,
            refresh_account=self._refresh,
            account_clock=context.account_clock,
            new_deals=new_deals,
        )

        self._enquiries = EnquiryProcessor(
            store,
            client,
            self._contacts,
            self.rules,
            context.environment,
            context.clock,
            context.account_clock,
            Alerts(store, self.rules, context.clock).tell,
        )

    def worker(self) -> Worker:
        """The worker, not started. Raises CrmError, StoreUnavailable."""
        self._scheduler.begin(self.rules.timetable())
        self._keep_facts()
        context, store = self._context, self._store
        wake_up = threading.Event()
        channels = self._channel_workers(settled=wake_up.set)
        alerts = Alerts(store, self.rules, context.clock)
        looks = self._looks(alerts, lambda: worker.request_job(RECONCILE))
        worker = Worker(
            store,
            self._processor,
            self._sender,
            self._refresh,
            looks,
            channels,
            tell_of_stop=alerts.tell_of_stop,
            has_work=PendingWork(store, context.clock).has_work,
            read_tasks=reader_of(self.client),
            take_enquiries=self._enquiries.run,
            keep_requests=RequestLog(store, context.meters.sent).keep_now_and_then,
            wake_up=wake_up,
        )
        context.account_clock.jumped = lambda: worker.request_job(TIMERS)
        worker.register_job(TIMERS, lambda: self._scheduler.tick(lambda: worker.request_job(TIMERS)))
        worker.register_job(EVENING, EveningDigest(store, self.rules, context.account_clock, context.clock).run)
        letter = WeeklyLetter(store, self.rules, context.account_clock, context.clock)
        worker.register_job(WEEKLY_LETTER, letter.run)
        daily = DailyReportJob(store, self.rules, context.account_clock, context.clock)
        worker.register_job(DAILY_REPORTS, daily.run)
        worker.register_job(KPI_DAYS, KpiJob(store, self.rules, context.account_clock).run)
        policies = PolicyJob(store, self.rules, context.account_clock, context.clock, alerts.tell)
        worker.register_job(POLICIES, policies.run)
        shifts = ShiftStartJob(store, self.rules, context.account_clock, context.clock)
        worker.register_job(SHIFT_STARTS, shifts.run)
        worker.register_job(ADS_CHECK, AdCheckJob(store, self.rules, context.account_clock, context.clock).run)
        worker.register_job(SERIES, series_job(self._channel_context).run)
        worker.register_job(NAMES, self._refresh)
        retention = Retention(store, context.clock, context.config.bridge, self.rules.timetable)
        worker.register_job(RETENTION, RetentionJob(retention, lambda: worker.request_job(RETENTION)).run)
        if context.config.updates.check:
            worker.register_job(UPDATES, UpdateCheck(context.config.updates, store, context.clock).run)
        importer = ImportExecutor(
            store,
            self.client,
            self.rules.get,
            context.clock,
            context.account_clock,
            settle=context.settle,
        )
        worker.register_job(IMPORTS, ImportJob(importer, lambda: worker.request_job(IMPORTS)).run)
        if bizon := _bizon_job(context, store, self.rules.get, lambda: worker.request_job(BIZON)):
            worker.register_job(BIZON, bizon.run)
        if exchanges := asked_exchanges(context.fit.config, context.environment):
            home = context.fit.config.calendar.country
            worker.register_job(CALLS, CallHistory(store, exchanges, context.clock, home, alerts.tell).run)
        if context.connection.silence is None:
            # Names of the last time accuse nobody: what they lack may be there.
            self._tell_of_names()
        worker.register_job(FIRST_READING, self._first_reading(lambda: worker.request_job(FIRST_READING)).run)
        return worker

    def mail_readers(self, client: CrmClient, worker: Worker) -> MailReaders | None:
        """The threads that read the mailboxes, not started; None where the config names no box. ``client``: their own,
        because they work in other threads."""
        context, config = self._context, self._context.fit.config
        if config.intake is None or not config.intake.mail:
            return None
        store = self._store
        settings = settings_of(config, SOURCE, context.environment)
        alerts = Alerts(store, self.rules, context.clock)
        readers = [
            MailboxReader(
                section,
                MailboxConnection(section, MailboxSecret(section, context.environment)),
                store,
                settings,
                context.clock,
                passed=lambda fate: context.meters.intake_answered(SOURCE, fate),
                is_dry=self._is_dry,
            )
            for section in config.intake.mail
        ]
        files = LetterFiles(store, client, lambda: self.rules.get().account.drive_url, context.clock, self._is_dry)
        return MailReaders(readers, files, alerts.tell, worker.wake)

    def _is_dry(self) -> bool:
        return self.rules.get().config.bridge.dry_run

    def _first_reading(self, again: Callable[[], None]) -> MirrorLoad:
        context = self._context
        reading = MirrorLoad(self._store, self.client, context.account_clock, self._contacts, again)
        reading.mark_start()
        return reading

    def _looks(self, alerts: Alerts, again: Callable[[], None]) -> dict[str, Callable[[], object]]:
        """What is looked for outside, by itself. ``again`` goes on with a long look for missed changes."""
        context, store = self._context, self._store
        reconciler = Reconciler(store, self.client, context.clock, context.account_clock, self._contacts, again)
        reconciler.begin()
        look: Callable[[], object] = reconciler.run
        if context.destination:
            look = Watchdog(store, self.client, context.clock, reconciler, context.destination, alerts.tell).run
        token_watch = TokenExpiryCheck(lambda: context.connection.token_ends_at, context.clock, alerts.tell)
        return {RECONCILE: look, TOKEN_WATCH: token_watch.run}

    def _channel_workers(self, settled: Callable[[], None]) -> ChannelWorkers:
        context = self._context
        ports = self._ports(self._channel_context)
        vendors = [vendor.section for vendor in connected_vendors(context.fit.config)]
        VendorStates(self._store, context.clock).connect(vendors)
        senders = channel_senders(ports, self._store, context.clock, context.account_clock, settled)
        # A rehearsal has ports to nowhere, and asks nobody either.
        return ChannelWorkers(senders, self._asking_others(settled) if self._ports is ports_of else [])

    def _asking_others(self, came: Callable[[], None]) -> list[Sending]:
        """What goes out beside the outbox, or is read where others keep it."""
        context = self._context
        tell = Alerts(self._store, self.rules, context.clock).tell
        leads = lead_poll(context.fit.config, context.environment, self._store, context.clock, tell, came)
        channels = self._channel_context
        pipedrive = pipedrive_poll(context.fit.config, context.environment, self._store, context.clock, tell)
        megaplan = megaplan_job(channels, tell, came)
        ads = ad_polls(
            context.fit.config, context.environment, self._store, self.rules.get, context.account_clock, tell, came
        )
        own = (
            roistat_job(channels), roistat_costs_job(channels), button_job(channels, came), spend_sheet_job(channels)
        )  # fmt: skip
        sheets = sheet_jobs(channels, {"kpi": partial(KpiRows, self._store), "losses": partial(LossRows, self._store)})
        jobs = (*own, *sheets, leads, *ads, pipedrive, megaplan)
        return [job for job in jobs if job is not None]

    def _refresh(self) -> None:
        """Read the account's names anew, and work by them. Raises CrmError, StoreUnavailable."""
        context = self._context
        account = context.connection.account(refresh=True)
        if account != context.compared:
            log.info("the account's names have changed")
            # The next beginning, after a change of the config, must not fall back to the older names.
            context.compare(account=account)
            self.rules.replace(self._rule_engine(context, self._store))
            self._scheduler.begin(self.rules.timetable())
            self._keep_facts()
        self._tell_of_names()

    def _keep_facts(self) -> None:
        """What the pay sheet will ask about deals is kept from now on; and which of them name a campaign."""
        config, account = self.rules.get().config, self.rules.get().account
        fields = watched_fields(config.pay, account, config.bridge.secret_fields)
        FactLog(self._store).begin(fields, self._context.account_clock.now(), Mirror(self._store).records())
        follow_fields(self._store, campaign_fields(account, config.ads))

    def _tell_of_names(self) -> None:
        """Tell a person of rules that are broken and of names to be put right, once a day as long as it is so."""
        context = self._context
        self._tell_of_switched_off()
        if context.fit.lines(*TOLD):
            alerts = Alerts(self._store, self.rules, context.clock)
            alerts.tell_of_names(context.fit.broken, context.fit.lines_beside_broken(*TOLD))

    def _tell_of_switched_off(self) -> None:
        """Tell once who works for those who were switched off."""
        context, rules = self._context, self.rules.get()
        today = rules.calendar.local(context.clock.now()).date()
        alerts = Alerts(self._store, self.rules, context.clock)
        while context.switched_off:
            user = context.switched_off.pop()
            try:
                instead = rules.people.works_now(user.id, today, is_gone=True)
            except UnknownName as error:
                log.error("nobody works for somebody who was switched off", error=str(error))
                continue
            name = next((one.name for one in context.account.users if one.id == instead), str(instead))
            log.warning("a user was switched off", user=user.name, instead=name)
            alerts.tell_of_stand_in(user.name, name)

    def _rule_engine(self, context: AccountContext, store: AccountStore) -> RuleEngine:
        mirror = Mirror(store)
        return RuleEngine.of(
            context.fit.config,
            context.account,
            context.account_clock,
            mirror.record,
            pages_of(context.destination, context.under),
            self._card_names.name,
        )


def _bizon_job(
    context: AccountContext, store: AccountStore, rule_engine: Callable[[], RuleEngine], again: Callable[[], None]
) -> BizonJob | None:
    """None where the config has no ``[webinar.bizon]``."""
    section = context.fit.config.webinar.bizon if context.fit.config.webinar else None
    if section is None:
        return None
    settings = BizonSettings(context.fit.config, context.environment)
    bizon_import = BizonImport(store, rule_engine, context.clock, pages_of(context.destination))
    return BizonJob(
        BizonReports(store, context.clock),
        # The token is read each time: it may have been typed a moment ago.
        lambda webinar_id: Bizon(section.api, settings.token).viewers(webinar_id),
        bizon_import,
        again,
    )
