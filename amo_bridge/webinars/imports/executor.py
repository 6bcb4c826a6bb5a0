"""Executor of an import: contacts completed and made, deals for both, changes of open deals.

``step`` does one request's worth of rows and returns, so that the worker judges and sends everything else in between.
Nothing is held in memory: a bridge that was killed goes on with what the store says.
"""

from __future__ import annotations

from collections.abc import Callable

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.name_resolver import NameResolver
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, CrmStopped, LeadLost, StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.retry import SETTLE
from amo_bridge.storage.database import AccountStore
from amo_bridge.webinars.imports.delivery import AfterWrite, PayloadBuilder, RowDelivery
from amo_bridge.webinars.imports.drafts import DraftService
from amo_bridge.webinars.imports.model import Import, begin_undo
from amo_bridge.webinars.imports.repository import ImportRepository
from amo_bridge.webinars.imports.steps import CompleteStep, CreateStep, UndoStep, UpdateStep


class ImportExecutor:
    """``rule_engine`` is asked for at every step: it may be replaced meanwhile. ``account_clock``: amoCRM's
    own time, by which it is told whether a deal may be the one that was sent."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
        *,
        settle: float = SETTLE,
    ) -> None:
        self._store = store
        self._client = client
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._book = ImportRepository(store, clock)
        self._deliverer = RowDelivery(store, client, self._book, clock, settle, rule_engine)
        self._follower = AfterWrite(store, clock, account_clock, lambda: rule_engine().timetable)

    def recover(self) -> None:
        """Once, before the first step, and whenever a round broke off: see Deliverer."""
        self._deliverer.recover()

    def step(self) -> bool:
        """One request's worth of the oldest import that is under way; False when there is nothing to do just now.

        Raises CrmStopped, StoreUnavailable, LeadLost.
        """
        job = self._book.active()
        if job is None:
            return False
        try:
            moved = self._work_on(self._begun(job))
        except (StoreUnavailable, CrmStopped, LeadLost):
            raise
        except BridgeError as error:
            # A name that the account has lost, or amoCRM that can't be read just now: told, and tried again.
            log.warning("import waits", import_id=job.id, error=str(error))
            self._book.write_outage(job.id, str(error))
            return False
        if job.trouble and moved:
            self._book.write_outage(job.id, "")
        return moved

    def _begun(self, job: Import) -> Import:
        if job.started_at is None:
            self._book.become(job.id, [job.state], job.state, started_at=self._account_clock.now().timestamp())
            return self._book.get(job.id)
        return job

    def _work_on(self, job: Import) -> bool:
        rule_engine = self._rule_engine()
        drafting = DraftService(self._store, rule_engine.config, rule_engine.account, self._clock)
        calendar = rule_engine.config.calendar.calendar(rule_engine.account.timezone)
        terms = NameResolver(rule_engine.account, drafting.people, calendar)
        make = PayloadBuilder(rule_engine.account, terms, drafting.options, drafting.loader, self._clock)
        making = CreateStep(self._store, self._client, self._book, self._deliverer, self._follower, make)
        changing = UpdateStep(self._book, self._deliverer, self._follower, self._client, drafting, make)
        undo = UndoStep(self._book, self._deliverer, self._follower, self._client, drafting)
        index = ContactIndex(self._store)
        completing = CompleteStep(index, self._client, self._book, self._deliverer, self._follower, rule_engine.account)
        looked = making.look(job) or completing.look(job)
        if job.state == "running":
            moved = looked or changing.look(job) or completing.step(job) or making.step(job) or changing.step(job)
        else:
            moved = looked or undo.look(job) or completing.step(job) or undo.step(job) or self._set_out(job)
        if moved or self._book.open_count(job.id):
            return moved
        return self._finish(job)

    def _set_out(self, job: Import) -> bool:
        """What was on its way when the undo began has arrived meanwhile."""
        with self._book.writing() as connection:
            return begin_undo(connection, self._store.account_id, job.id)

    def _finish(self, job: Import) -> bool:
        ended = self._clock.now().timestamp()
        if self._book.finish(job.id, job.state, "undone" if job.state == "undoing" else "done", ended):
            log.info("import finished", import_id=job.id, undone=job.state == "undoing")
        return True


# The worker's chore of imports: one step at a time, asked for again while there is more to do.


class ImportJob:
    """``again`` asks the worker for this chore once more, after everything else had its turn."""

    def __init__(self, importer: ImportExecutor, again: Callable[[], None]) -> None:
        self._importer = importer
        self._again = again
        # At the start, and after a step that broke off, nobody knows what became of what was being sent.
        self._is_unsure = True

    def run(self) -> None:
        """Raises what the step raises: the worker waits it out and asks again."""
        if self._is_unsure:
            self._importer.recover()
        self._is_unsure = True
        moved = self._importer.step()
        self._is_unsure = False
        if moved:
            self._again()
