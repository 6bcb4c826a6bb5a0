"""The first fill of the mirror: every deal is read once, so that the first change seen is known as a change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import count

import structlog

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import DealRecord
from amo_bridge.crm.values import embedded
from amo_bridge.engine.mirror import Mirror, Mirrored
from amo_bridge.engine.timers import Timers
from amo_bridge.engine.timetable import Timetable
from amo_bridge.storage.accounts import DEALS_FILLED, DEALS_FILLED_PAGES, DEALS_MET_AT, Cursors
from amo_bridge.storage.database import Store

log = structlog.get_logger()
PAGE = 250


class Fill:
    """Goes on where it stopped: pages are counted in the store, in order of id, which old deals never change.

    ``timetable``: what steps the deals get as they come into the mirror."""

    def __init__(
        self,
        store: Store,
        account_key: int,
        client: CrmClient,
        clock: Clock,
        account_clock: Clock,
        timetable: Timetable | None = None,
    ) -> None:
        self._store = store
        self._client = client
        self._clock = clock
        self._account_clock = account_clock
        self._mirror = Mirror(store, account_key)
        self._cursors = Cursors(store, account_key)
        self._timers = Timers(account_key)
        self._timetable = timetable

    @property
    def is_done(self) -> bool:
        return self._cursors.read(DEALS_FILLED) is not None

    def meet(self) -> None:
        """The bridge meets the account: what happens from this second on is news. Does nothing the next time.

        To be called before anything else begins to listen: news that came before it would be taken for old.
        """
        self._met_at()

    def run(self, progress: Callable[[int], None] = lambda deals: None) -> None:
        """Read what is left to read; ``progress`` hears how many deals were read so far. Raises CrmError.

        Deals that changed after the bridge met the account are left to their hooks: a copy of the new state here would
        make their news look old.
        """
        if self.is_done:
            return
        met = datetime.fromtimestamp(self._met_at(), self._clock.now().tzinfo)
        done = int(self._cursors.read(DEALS_FILLED_PAGES) or 0)
        for page in count(done + 1):
            records = self._read(page)
            self._keep(page, [record for record in records if record.updated_at < met], len(records) < PAGE)
            progress((page - 1) * PAGE + len(records))
            if len(records) < PAGE:
                return

    def _met_at(self) -> float:
        met = self._cursors.read(DEALS_MET_AT)
        if met is None:
            # amoCRM's times have whole seconds: of what happened in this very second nobody can say if it was before.
            met = float(int(self._account_clock.now().timestamp()))
            with self._store.write() as connection:
                self._cursors.write(connection, DEALS_MET_AT, met)
        return met

    def _read(self, page: int) -> list[DealRecord]:
        params = {"with": "contacts,loss_reason", "order": {"id": "asc"}, "page": page, "limit": PAGE}
        return [DealRecord.from_api(row) for row in embedded(self._client.get("/api/v4/leads", params) or {}, "leads")]

    def _keep(self, page: int, records: list[DealRecord], is_last: bool) -> None:
        known = self._mirror.get(record.id for record in records)
        new = [Mirrored(record, record.updated_at) for record in records if record.id not in known]
        with self._store.write() as connection:
            self._mirror.put(connection, new, self._clock.now())
            if self._timetable:
                self._timers.follow(connection, self._timetable, new)
            # A deal deleted meanwhile shifts the rest by one: the page before is read again after a restart.
            self._cursors.write(connection, DEALS_FILLED_PAGES, max(page - 1, 0))
            if is_last:
                self._cursors.write(connection, DEALS_FILLED, 1.0)
        log.info("mirror is being filled", page=page, deals=len(records))
