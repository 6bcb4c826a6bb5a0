"""How the bridge is doing, as its store tells: what waits, what has failed, how fresh its knowledge is.

Only open and failed rows are counted, by indexes of their own: asking every few seconds costs nothing to speak of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, and_, func, literal_column, or_, select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.storage.accounts import CLOCK_AHEAD, HOOK_MENDED, HOOK_SEEN, RECONCILED_AT, Cursors
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import (
    OPEN_STATES,
    budgets,
    deals,
    events,
    in_open_state,
    inbox,
    is_given_up,
    outbox,
    timers,
)

# What should have been dealt with so many seconds ago and was not: somebody should look.
PATIENCE = 60.0


@dataclass(frozen=True)
class Vitals:
    """Counts of one account's rows. Ages are seconds; None: it has not happened yet.

    ``timers_overdue``: steps that fell due a minute ago and have not fired.
    ``outbox``: open state → how many. ``failed``: kind of effect, or "event", → how many. ``stopped``: why amoCRM wants
    nothing from us, empty if it does."""

    inbox_new: int
    events_open: int
    outbox: Mapping[str, int]
    failed: Mapping[str, int]
    overdue: int
    timers_open: int
    timers_overdue: int
    mirror_deals: int
    last_hook_age: float | None
    reconcile_age: float | None
    hook_seen_age: float | None
    hook_mended_age: float | None
    stopped: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Gauges:
    def __init__(self, store: Store, account_key: int, account_url: str, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._url = account_url
        self._clock = clock
        self._cursors = Cursors(store, account_key)

    def read(self) -> Vitals:
        """Look now. Raises StoreUnavailable."""
        now = self._clock.now().timestamp()
        looked_at, seen, mended = (self._cursors.read(name) for name in (RECONCILED_AT, HOOK_SEEN, HOOK_MENDED))
        # Steps fall due by amoCRM's clock.
        ahead = self._cursors.read(CLOCK_AHEAD) or 0.0
        with self._store.read() as connection:
            last_hook_at = connection.execute(self._last_hook()).scalar()
            return Vitals(
                inbox_new=_count(connection, select(func.count()).where(self._of(inbox), inbox.c.state == "new")),
                events_open=_count(connection, select(func.count()).where(self._of(events), events.c.state == "open")),
                outbox=self._outbox(connection),
                failed=self._failed(connection),
                overdue=self._overdue(connection, now - PATIENCE),
                timers_open=_count(connection, self._timers()),
                timers_overdue=_count(connection, self._timers().where(timers.c.due_at < now + ahead - PATIENCE)),
                mirror_deals=_count(connection, select(func.count()).where(self._of(deals))),
                last_hook_age=_age(last_hook_at, now),
                reconcile_age=_age(looked_at, now),
                hook_seen_age=_age(seen, now),
                hook_mended_age=_age(mended, now),
                stopped=self._stopped(connection),
            )

    def _of(self, table: Any) -> Any:
        return table.c.account == self._key

    def _last_hook(self) -> Select[Any]:
        return select(inbox.c.received_at).where(self._of(inbox)).order_by(inbox.c.id.desc()).limit(1)

    def _outbox(self, connection: Connection) -> dict[str, int]:
        query = select(outbox.c.state, func.count()).where(self._of(outbox), in_open_state(outbox))
        found = {state: int(count) for state, count in connection.execute(query.group_by(outbox.c.state))}
        return {state: found.get(state, 0) for state in OPEN_STATES}

    def _failed(self, connection: Connection) -> dict[str, int]:
        query = select(outbox.c.kind, func.count()).where(self._of(outbox), is_given_up(outbox))
        found = {kind: int(count) for kind, count in connection.execute(query.group_by(outbox.c.kind))}
        lost = _count(connection, select(func.count()).where(self._of(events), events.c.state == "failed"))
        return {**found, "event": lost} if lost else found

    def _overdue(self, connection: Connection, before: float) -> int:
        due = or_(outbox.c.state == "sending", outbox.c.due_at < before)
        late = and_(self._of(outbox), in_open_state(outbox), outbox.c.created_at < before, due)
        unread = and_(self._of(inbox), inbox.c.state == "new", inbox.c.received_at < before)
        unjudged = and_(
            self._of(events), events.c.state == "open", events.c.received_at < before, events.c.due_at < before
        )  # fmt: skip
        return sum(_count(connection, select(func.count()).where(what)) for what in (late, unread, unjudged))

    def _timers(self) -> Select[Any]:
        # Spelled out in the statement: SQLite takes the partial index only for what it knows before.
        is_open = timers.c.state == literal_column("'open'")
        return select(func.count()).select_from(timers).where(self._of(timers), is_open)

    def _stopped(self, connection: Connection) -> str:
        query = select(budgets.c.stopped_kind, budgets.c.stopped_reason).where(budgets.c.account == self._url)
        row = connection.execute(query).first()
        return f"{row.stopped_kind}: {row.stopped_reason}" if row and row.stopped_kind else ""


def _age(moment: float | None, now: float) -> float | None:
    return None if moment is None else max(now - moment, 0.0)


def _count(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(query).scalar_one())
