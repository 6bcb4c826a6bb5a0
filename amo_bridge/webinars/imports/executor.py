"""Carrying an import out: known contacts completed, new ones made, deals for both, then what is to be changed on open
deals.

``step`` does one request's worth of rows and returns, so that the worker judges and sends everything else in between.
Nothing is held in memory: a bridge that was killed goes on with what the store says.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.people import People
from amo_bridge.engine.resolver import Terms
from amo_bridge.engine.rule_engine import Brain
from amo_bridge.engine.sender import SETTLE
from amo_bridge.errors import BridgeError, CrmStopped, LeadLost, StoreUnavailable
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.storage.database import Store
from amo_bridge.webinars.imports.delivery import BodyMaker, Deliverer, Follower
from amo_bridge.webinars.imports.drafts import Drafting
from amo_bridge.webinars.imports.model import Import, begin_undo
from amo_bridge.webinars.imports.repository import ImportBook
from amo_bridge.webinars.imports.steps import Changing, Completing, Making, Undo

log = structlog.get_logger()


class Importer:
    """``brain`` is asked for at every step: names and config may be read anew meanwhile. ``account_clock``: amoCRM's
    own time, by which it is told whether a deal may be the one that was sent."""

    def __init__(
        self,
        store: Store,
        key: int,
        client: CrmClient,
        brain: Callable[[], Brain],
        clock: Clock,
        account_clock: Clock,
        *,
        settle: float = SETTLE,
    ) -> None:
        self._store = store
        self._key = key
        self._client = client
        self._brain = brain
        self._clock = clock
        self._account_clock = account_clock
        self._book = ImportBook(store, key, clock)
        self._deliverer = Deliverer(store, key, client, self._book, clock, settle)
        self._follower = Follower(store, key, clock, account_clock, lambda: brain().timetable)

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
            self._book.trouble(job.id, str(error))
            return False
        if job.trouble and moved:
            self._book.trouble(job.id, "")
        return moved

    def _begun(self, job: Import) -> Import:
        if job.started_at is None:
            self._book.become(job.id, [job.state], job.state, started_at=self._account_clock.now().timestamp())
            return self._book.get(job.id)
        return job

    def _work_on(self, job: Import) -> bool:
        brain = self._brain()
        drafting = Drafting(self._store, self._key, brain.config, brain.account, self._clock)
        calendar = brain.config.calendar.calendar(brain.account.timezone)
        terms = Terms(brain.account, People(brain.account, brain.config.roles), calendar)
        make = BodyMaker(brain.account, terms, drafting.options, drafting.loader)
        making = Making(self._store, self._key, self._client, self._book, self._deliverer, self._follower, make)
        changing = Changing(self._book, self._deliverer, self._follower, self._client, drafting, make)
        undo = Undo(self._book, self._deliverer, self._follower, self._client, drafting)
        index = ContactIndex(self._store, self._key)
        completing = Completing(index, self._client, self._book, self._deliverer, self._follower, brain.account)
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
            return begin_undo(connection, self._key, job.id)

    def _finish(self, job: Import) -> bool:
        ended = self._clock.now().timestamp()
        if self._book.finish(job.id, job.state, "undone" if job.state == "undoing" else "done", ended):
            log.info("import finished", import_id=job.id, undone=job.state == "undoing")
        return True


# The worker's chore of imports: one step at a time, asked for again while there is more to do.


class ImportChore:
    """``again`` asks the worker for this chore once more, after everything else had its turn."""

    def __init__(self, importer: Importer, again: Callable[[], None]) -> None:
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
