"""Initial load of the mirror: deals, tasks, contacts and touches, each list once, page by page."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.events_api import touches_before
from amo_bridge.crm.records import EPOCH, ContactRecord, DealRecord, TaskRecord, embedded
from amo_bridge.engine.timers import Timers, Timetable
from amo_bridge.errors import CrmForbidden, CrmRefused
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import ContactRefresher
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.tasks import MirroredTask, TaskRows
from amo_bridge.mirror.touches import record_touches
from amo_bridge.storage.accounts import (
    CONTACTS_FIELDS,
    CONTACTS_FILLED,
    CONTACTS_FILLED_PAGES,
    DEALS_FILLED,
    DEALS_FILLED_PAGES,
    DEALS_MET_AT,
    MIRROR_MET_AT,
    TASKS_FILLED,
    TASKS_FILLED_PAGES,
    TOUCHES_FILLED,
    TOUCHES_FROM,
    Cursors,
)
from amo_bridge.storage.database import AccountStore

PAGE_SIZE = 250


Row = Mapping[str, Any]


@dataclass(frozen=True)
class PagedList:
    """A list of amoCRM that is read once. ``name``: for the log; ``key``: what amoCRM calls it under ``_embedded``;
    ``keep`` writes a page's rows; ``filled``: the cursor that is there when all has been read; ``pages``: the cursor
    that counts them; ``rereads``: so many pages are read again after an interruption."""

    name: str
    path: str
    key: str
    params: Mapping[str, Any]
    keep: Callable[[Connection, Sequence[Row]], None]
    filled: str
    pages: str
    # An entity deleted meanwhile shifts the rest by one.
    rereads: int = 0


class PagedLoad:
    """Reads a list page by page, in order of id, which old entities never change; pages are counted in the store.
    Nothing is kept in memory but the page in hand."""

    def __init__(self, store: AccountStore, client: CrmClient, what: PagedList) -> None:
        self._store = store
        self._client = client
        self._what = what
        self._cursors = Cursors(store)
        self._next_page: int | None = None

    @property
    def is_done(self) -> bool:
        return self._cursors.read(self._what.filled) is not None

    def step(self) -> int:
        """Read the next page, if one is left; how many rows were read so far. Raises CrmError; then the same page is
        read again."""
        if self.is_done:
            return 0
        what = self._what
        page, self._next_page = self._next_page or int(self._cursors.read(what.pages) or 0) + 1, None
        params = {**what.params, "order": {"id": "asc"}, "page": page, "limit": PAGE_SIZE}
        rows = embedded(self._client.get(what.path, params) or {}, what.key)
        is_last = len(rows) < PAGE_SIZE
        with self._store.write() as connection:
            what.keep(connection, rows)
            self._cursors.write(connection, what.pages, max(page - what.rereads, 0))
            if is_last:
                self._cursors.write(connection, what.filled, 1.0)
        self._next_page = None if is_last else page + 1
        log.info("mirror is being filled", list=what.name, page=page, rows=len(rows))
        return (page - 1) * PAGE_SIZE + len(rows)

    def begin_anew(self) -> None:
        """Forget how far it was read."""
        self._next_page = None
        with self._store.write() as connection:
            self._cursors.forget(connection, self._what.pages, self._what.filled)


# Every deal is read once, so that the first change seen is known as a change.


class DealsLoad:
    """Reads every deal once, before the leader begins to work; goes on where it stopped.

    ``timetable``: what steps the deals get as they come into the mirror."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        clock: Clock,
        account_clock: Clock,
        timetable: Timetable | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._account_clock = account_clock
        self._mirror = Mirror(store)
        self._cursors = Cursors(store)
        self._timers = Timers(store.account_id)
        self._timetable = timetable
        what = PagedList(
            "deals", "/api/v4/leads", "leads", {"with": "contacts,loss_reason"}, self._keep,
            filled=DEALS_FILLED, pages=DEALS_FILLED_PAGES, rereads=1,
        )  # fmt: skip
        self._load = PagedLoad(store, client, what)

    @property
    def is_done(self) -> bool:
        return self._load.is_done

    def mark_start(self) -> None:
        """The bridge meets the account: what happens from this second on is news. Does nothing the next time.

        To be called before anything else begins to listen: news that came before it would be taken for old.
        """
        self._started_at()

    def run(self, progress: Callable[[int], None] = lambda deals: None) -> None:
        """Read what is left to read; ``progress`` hears how many deals were read so far. Raises CrmError.

        Deals that changed after the bridge met the account are left to their webhooks: a copy of the new state here
        would make their news look old.
        """
        if not self.is_done:
            self.mark_start()
        while not self._load.is_done:
            progress(self._load.step())

    def _started_at(self) -> datetime:
        met = self._cursors.read(DEALS_MET_AT)
        if met is None:
            # amoCRM's times have whole seconds: of what happened in this very second nobody can say if it was before.
            met = float(int(self._account_clock.now().timestamp()))
            with self._store.write() as connection:
                self._cursors.write(connection, DEALS_MET_AT, met)
        return datetime.fromtimestamp(met, UTC)

    def _keep(self, connection: Connection, rows: Sequence[Row]) -> None:
        started_at = self._started_at()
        records = [record for record in map(DealRecord.from_api, rows) if record.updated_at < started_at]
        known = self._mirror.among(connection, {record.id for record in records})
        new = [MirroredDeal(record, record.updated_at) for record in records if record.id not in known]
        self._mirror.put(connection, new, self._clock.now())
        if self._timetable:
            self._timers.follow(connection, self._timetable, new)


# The first reading of what lies beside the deals: open tasks, contacts, and the touches of the last weeks.
#
# It goes on in the background while the bridge works, a few requests at a time, and on where it stopped after a
# restart. Rules need none of it to decide: they read afresh. Pages, reports and imports wait for it (``is_filled``).

# A month and a little: what rules about a month's touches ask for on the first day.
HISTORY = timedelta(days=35)
STEPS_IN_A_ROW = 3


class MirrorLoad:
    """``again`` asks for the next portion. ``account_clock`` tells amoCRM's time."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        account_clock: Clock,
        contacts: ContactRefresher,
        again: Callable[[], None],
    ) -> None:
        self._store = store
        self._client = client
        self._account_clock = account_clock
        self._contacts = contacts
        self._again = again
        self._cursors = Cursors(store)
        self._rows = TaskRows(store.account_id)
        self._refused: set[str] = set()
        of_tasks = PagedList(
            "tasks", "/api/v4/tasks", "tasks", {"filter": {"is_completed": False}}, self._keep_tasks,
            filled=TASKS_FILLED, pages=TASKS_FILLED_PAGES,
        )  # fmt: skip
        of_contacts = PagedList(
            "contacts", "/api/v4/contacts", "contacts", {"with": "leads"}, self._keep_contacts,
            filled=CONTACTS_FILLED, pages=CONTACTS_FILLED_PAGES,
        )  # fmt: skip
        self._tasks = PagedLoad(store, client, of_tasks)
        self._people = PagedLoad(store, client, of_contacts)

    def mark_start(self) -> None:
        """What happens from this second on is news. To be called before anything begins to listen; does nothing the
        next time."""
        if self._cursors.read(MIRROR_MET_AT) is None:
            with self._store.write() as connection:
                self._cursors.write(connection, MIRROR_MET_AT, float(int(self._account_clock.now().timestamp())))
        self._look_at_fields()

    @property
    def is_done(self) -> bool:
        return self._tasks.is_done and self._people.is_done and self._cursors.read(TOUCHES_FILLED) is not None

    def run(self) -> None:
        """The next portion, if anything is left. Raises CrmError; then it is read again."""
        for _ in range(STEPS_IN_A_ROW):
            step = next(self._left(), None)
            if step is None:
                return
            self._do(*step)
        self._again()

    def _left(self) -> Iterator[tuple[str, Callable[[], object]]]:
        steps = (
            ("tasks", self._tasks.is_done, self._tasks.step),
            ("contacts", self._people.is_done, self._people.step),
            ("touches", self._cursors.read(TOUCHES_FILLED) is not None, self._step_back),
        )
        return iter([(name, step) for name, is_done, step in steps if not is_done and name not in self._refused])

    def _do(self, name: str, step: Callable[[], object]) -> None:
        try:
            step()
        except (CrmForbidden, CrmRefused) as error:
            # A list that we may not see must not keep the bridge from everything else; the next start tries again.
            log.error("the mirror can't be filled", list=name, error=str(error))
            self._refused.add(name)

    def _keep_tasks(self, connection: Connection, rows: Sequence[Row]) -> None:
        """What changed after the bridge met the account is left to its hooks: a copy of the new state here would make
        their news look old."""
        met = self._met
        copies = [MirroredTask.of(TaskRecord.from_api(row)) for row in rows]
        known = self._rows.known(connection, (copy.id for copy in copies))
        self._rows.put(connection, [copy for copy in copies if copy.id not in known and copy.updated_at < met])

    def _keep_contacts(self, connection: Connection, rows: Sequence[Row]) -> None:
        self._contacts.put(connection, [ContactRecord.from_api(row) for row in rows])

    def _step_back(self) -> None:
        """The touches of the weeks before the bridge met the account, from the newest to the oldest."""
        met = self._met
        until = datetime.fromtimestamp(self._cursors.read(TOUCHES_FROM) or met.timestamp(), UTC)
        told, rest = touches_before(self._client, max(met - HISTORY, EPOCH), until)
        with self._store.write() as connection:
            record_touches(connection, self._store.account_id, told)
            if rest is None:
                self._cursors.write(connection, TOUCHES_FILLED, 1.0)
            else:
                self._cursors.write(connection, TOUCHES_FROM, rest.timestamp())
        log.info("touches are being read", until=until.isoformat(), found=len(told))

    @property
    def _met(self) -> datetime:
        return datetime.fromtimestamp(self._cursors.read(MIRROR_MET_AT) or 0.0, UTC)

    def _look_at_fields(self) -> None:
        """Other fields are to be kept than before: then the contacts are read anew."""
        mark = float(zlib.crc32(repr(sorted(self._contacts.kept_fields)).encode()))
        if self._cursors.read(CONTACTS_FIELDS) == mark:
            return
        self._people.begin_anew()
        with self._store.write() as connection:
            self._cursors.write(connection, CONTACTS_FIELDS, mark)
