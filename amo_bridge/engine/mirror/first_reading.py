"""The first reading of what lies beside the deals: open tasks, contacts, and the touches of the last weeks.

It goes on in the background while the bridge works, a few requests at a time, and on where it stopped after a restart.
Rules need none of it to decide: they read afresh. Pages, reports and imports wait for it (``is_filled``).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.events_api import touches_before
from amo_bridge.crm.records import EPOCH, ContactRecord, TaskRecord
from amo_bridge.engine.mirror.contact_keeper import ContactKeeper
from amo_bridge.engine.mirror.filling import PagedFill, PagedList, Row
from amo_bridge.engine.mirror.learning import learn
from amo_bridge.engine.mirror.task_copy import TaskCopy
from amo_bridge.engine.mirror.tasks import TaskRows
from amo_bridge.errors import CrmForbidden, CrmRefused
from amo_bridge.storage.accounts import CONTACTS_FIELDS, MIRROR_MET_AT, TOUCHES_FILLED, TOUCHES_FROM, Cursors
from amo_bridge.storage.database import Store

log = structlog.get_logger()
# A month and a little: what rules about a month's touches ask for on the first day.
HISTORY = timedelta(days=35)
STEPS_IN_A_ROW = 3


class FirstReading:
    """``again`` asks for the next portion. ``account_clock`` tells amoCRM's time."""

    def __init__(
        self,
        store: Store,
        account_key: int,
        client: CrmClient,
        account_clock: Clock,
        contacts: ContactKeeper,
        again: Callable[[], None],
    ) -> None:
        self._store = store
        self._key = account_key
        self._client = client
        self._account_clock = account_clock
        self._contacts = contacts
        self._again = again
        self._cursors = Cursors(store, account_key)
        self._rows = TaskRows(account_key)
        self._refused: set[str] = set()
        of_tasks = PagedList("tasks", "/api/v4/tasks", "tasks", {"filter": {"is_completed": False}}, self._keep_tasks)
        of_contacts = PagedList("contacts", "/api/v4/contacts", "contacts", {"with": "leads"}, self._keep_contacts)
        self._tasks = PagedFill(store, account_key, client, of_tasks)
        self._people = PagedFill(store, account_key, client, of_contacts)

    def meet(self) -> None:
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

    def _left(self) -> Iterator[tuple[str, Callable[[], None]]]:
        steps = (
            ("tasks", self._tasks.is_done, self._tasks.step),
            ("contacts", self._people.is_done, self._people.step),
            ("touches", self._cursors.read(TOUCHES_FILLED) is not None, self._step_back),
        )
        return iter([(name, step) for name, is_done, step in steps if not is_done and name not in self._refused])

    def _do(self, name: str, step: Callable[[], None]) -> None:
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
        copies = [TaskCopy.of(TaskRecord.from_api(row)) for row in rows]
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
            learn(connection, self._key, told)
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
