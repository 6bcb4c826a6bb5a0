"""Leader's work: mirror filled, webhook subscribed, events decoded and processed, effects sent."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from amo_bridge.config.account_fit import Fit
from amo_bridge.config.model import Config
from amo_bridge.crm.client import CrmClient
from amo_bridge.errors import CrmForbidden, CrmStopped
from amo_bridge.intake.mail_reader import MailReaders
from amo_bridge.logs import log
from amo_bridge.runtime.leader_election import LeaderStore, Lease
from amo_bridge.runtime.rehearsal_jobs import RehearsalRunner, Rehearsals
from amo_bridge.runtime.startup import AccountContext
from amo_bridge.runtime.wiring import CompositionRoot
from amo_bridge.runtime.worker import (
    FIRST_READING,
    IMPORTS,
    NAMES,
    RECONCILE,
    REHEARSALS,
    RETENTION,
    TIMERS,
    TOKEN_WATCH,
    UPDATES,
    Ticker,
    Worker,
)
from amo_bridge.storage.secrets import without_kept
from amo_bridge.sync.initial_load import DealsLoad
from amo_bridge.sync.subscription import subscribe

# A standby may wait for weeks, and the account's names change meanwhile.
NAMES_KEEP = 60.0


class Leader:
    """See leader_election.Work. ``retry`` tries a step until it works, ``show`` hears how far the beginning is,
    ``stand_by`` hears that somebody else leads."""

    def __init__(
        self,
        context: AccountContext,
        retry: Callable[[Callable[[], None]], bool],
        show: Callable[[str], None],
        stand_by: Callable[[str], None],
    ) -> None:
        self.worker: Worker | None = None
        self.mail: MailReaders | None = None
        self.wants_to_begin_anew = False
        self.stand_by = stand_by
        self._context = context
        self._retry = retry
        self._show = show
        self._names_read_at = monotonic()
        self._ticker = Ticker()
        self._rehearsals = RehearsalRunner(without_kept(context.environment))

    @property
    def token_ends_at(self) -> float | None:
        """See Connection."""
        return self._context.connection.token_ends_at

    def begin(self, lead: Lease) -> bool:
        return self._retry(lambda: self._begin(lead))

    def goes_on(self) -> bool:
        return self.worker is not None and not self.worker.has_lost_lead

    def misfits(self, config: Config) -> list[str]:
        """Names that the account does not know; it is asked anew before that is said. Raises BridgeError."""
        context = self._context
        problems = context.new_problems(config)
        if problems:
            context.account = context.connection.account(refresh=True)
            problems = context.new_problems(config)
        return problems

    @property
    def fit(self) -> Fit:
        """The config compared with the account, as the work goes by it."""
        return self._context.fit

    def take_config(self, config: Config) -> None:
        """The next beginning is by this config, and it comes soon: see LeaderLoop."""
        self._context.config = config
        self.wants_to_begin_anew = True

    def end(self) -> None:
        self._ticker.stop()
        if self.mail:
            self.mail.stop()
        self.mail = None
        if self.worker:
            self.worker.stop()
        self.worker = None
        self._rehearsals.leave()

    def _begin(self, lead: Lease) -> None:
        context = self._context
        self.wants_to_begin_anew = False
        if monotonic() - self._names_read_at > NAMES_KEEP:
            context.account = context.connection.account()
        context.compare()
        store = LeaderStore(context.store, lead)
        client = context.connection.client(before_send=lead.check)
        root = CompositionRoot(context, store, client, context.connection.client(before_send=lead.check))
        fill = DealsLoad(
            store,
            client,
            context.clock,
            context.account_clock,
            root.rules.timetable(),
        )
        fill.mark_start()
        worker = root.worker()
        self._rehearsals.enter(Rehearsals(store, context.clock), context.fit.config)
        worker.register_job(REHEARSALS, self._rehearsals.look)
        stop = self._subscribed(client, is_met=fill.is_done)
        fill.run(self._show_filling)
        worker.request_job(RECONCILE)
        worker.request_job(FIRST_READING)
        worker.request_job(RETENTION)
        worker.request_job(UPDATES)
        worker.request_job(TOKEN_WATCH)
        worker.request_job(TIMERS)
        worker.request_job(IMPORTS)
        if context.connection.silence is not None:
            # What is broken may be so by the names of the last time alone.
            worker.request_job(NAMES)
        if stop is not None:
            worker.say(stop)
        worker.start()
        self.worker = worker
        self.mail = root.mail_readers(context.connection.client(before_send=lead.check), worker)
        if self.mail:
            self.mail.start()
        self._ticker.start(worker)
        rules = sum(rule.works for rule in context.fit.config.rules)
        log.info("ready", account=context.account.subdomain, rules=rules)

    def _subscribed(self, client: CrmClient, *, is_met: bool) -> CrmStopped | None:
        """Have amoCRM send its hooks. What has stopped us, if something has: an account that we have met before is
        worked for all the same, so that hooks are kept and somebody is told; the watchdog subscribes later."""
        context = self._context
        try:
            if context.destination:
                subscribe(client, context.destination)
        except CrmForbidden:
            raise
        except CrmStopped as error:
            if not is_met:
                raise
            return error
        return context.connection.silence if isinstance(context.connection.silence, CrmStopped) else None

    def _show_filling(self, deals: int) -> None:
        self._show(f"filling the mirror: {deals} deals read")
