"""Retention: old rows are deleted in slices; fired steps only when nobody could want them again.

A step that fired may go when the deal has left the stage, its date is another one, the slot of the round is past, or
the deal is gone.

As long as the timetable wants a step, its row is what keeps it from being done twice, however old it is. What a rule
that is switched off would want nobody can tell: its rows stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Select, Table, and_, case, delete, exists, func, select, true
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.model import BridgeSection
from amo_bridge.engine.timers import FIRED, TimerKey, Timers, Timetable, contacts_of, waiting_clients
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.deals import Mirror
from amo_bridge.mirror.facts import OWNER, STAGE
from amo_bridge.storage.accounts import TIDIED_AT, Cursors
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import (
    approval_presses,
    approvals,
    audience_holds,
    audience_members,
    audience_uploads,
    deal_facts,
    dial_calls,
    dials,
    enquiries,
    enquiry_addresses,
    events,
    inbox,
    intake_requests,
    journal,
    outbox,
    sms,
    staff_messages,
    task_history,
    tasks,
    timers,
    touches,
)

TIMER_BATCH_SIZE = 250


def forget_old(store: AccountStore, timetable: Timetable, before: float) -> Iterator[int]:
    """Delete those that fell due before then (Unix seconds, account's clock); after each chunk how many went. Raises
    StoreUnavailable."""
    last = 0
    while True:
        with store.write() as connection:
            rows = connection.execute(_old(store.account_id, before, last)).all()
            gone = _unwanted(connection, store.account_id, Mirror(store), timetable, rows)
            connection.execute(delete(timers).where(timers.c.id.in_(gone)))
        if gone:
            yield len(gone)
        if len(rows) < TIMER_BATCH_SIZE:
            return
        last = rows[-1].id


def _old(account: int, before: float, last: int) -> Any:
    # As in Retention._chunks.
    old = (timers.c.account + 0 == account, timers.c.state == FIRED, timers.c.due_at < before)
    return select(timers).where(*old, timers.c.id > last).order_by(timers.c.id).limit(TIMER_BATCH_SIZE)


def _unwanted(
    connection: Connection, account: int, mirror: Mirror, timetable: Timetable, rows: Sequence[Row[Any]]
) -> list[int]:
    """The numbers of the rows that nobody will ask for."""
    copies = mirror.among(connection, {row.deal_id for row in rows})
    people = contacts_of(connection, account, copies.values()) if timetable.contact_dates else None
    waiting = waiting_clients(connection, account, timetable, copies.values())
    wanted = timetable.wanted(copies.values(), Timers(account).in_force(connection), people, waiting)
    return [
        row.id
        for row in rows
        if row.deal_id not in copies
        or (
            row.rule in timetable.digests
            and (row.deal_id, row.rule) not in wanted.unknown
            and TimerKey(row.deal_id, row.rule, row.step, row.anchor) not in wanted.steps
        )
    ]


# Retention: what is done and old is deleted, a few rows at a time, so that hooks never wait for it.
#
# What is open or failed stays however old it is, and so do ``made`` and the keys of effects that are done once for
# ever: without them the bridge would do them again.

EVERY = timedelta(days=1)
BATCH_SIZE = 500
MOST_COUNTED = 10_000
"""Of one table, to be shown: a page must not read a store of years."""
# Rules ask for a month of touches, reports for a year.
TOUCHES_KEPT = timedelta(days=400)
# So long a finished task may still be told of: its result, or that it was opened again.
FINISHED_KEPT = timedelta(days=30)
# The report of overdue tasks looks back a year. What is open keeps its whole history.
TASK_HISTORY_KEPT = timedelta(days=400)
# Of deals: pay sheets of three years can be made anew. What fields became stays: a client's first day is never too old.
MOVES_KEPT = timedelta(days=1100)
# The worker does nothing else meanwhile; a chunk takes some milliseconds.
CHUNKS_IN_A_ROW = 20
SETTLED = ("done", "dropped", "unsent")
ONCE = "%|once|%"
_addresses = enquiry_addresses.c


@dataclass(frozen=True)
class _Part:
    """Rows that may go. ``came_at``: of rows that are numbered in the order in which they came: those from ``before``
    then. ``counted``: what of it will be old today, where a part before it decides that; None: ``may_go``."""

    table: Table
    number: Column[int]
    may_go: ColumnElement[bool]
    came_at: ColumnElement[float] | None = None
    before: float = 0.0
    counted: ColumnElement[bool] | None = None


class Retention:
    """``keep``: for how long, as the config says. One account's rows; other accounts in the store are not touched.

    ``timetable`` tells which steps may still be wanted; without it the steps that have fired stay."""

    def __init__(
        self,
        store: AccountStore,
        clock: Clock,
        keep: BridgeSection,
        timetable: Callable[[], Timetable] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep
        self._timetable = timetable
        self._cursors = Cursors(store)

    def is_due(self) -> bool:
        """Whether the last whole tidying was a day ago, or there never was one."""
        last = self._cursors.read(TIDIED_AT)
        return last is None or self._clock.now().timestamp() - last >= EVERY.total_seconds()

    def tidy(self) -> Iterator[tuple[str, int]]:
        """Delete; after each chunk the table's name and how many rows of it went. Raises StoreUnavailable."""
        now = self._clock.now()
        for part in self._parts(now):
            if part.came_at is None:
                yield from self._unordered(part)
            else:
                yield from self._chunks(part.table, part.came_at, part.before, part.may_go)
        if self._timetable is not None:
            for rows in forget_old(self._store, self._timetable(), (now - self._keep.keep_journal).timestamp()):
                yield timers.name, rows
        with self._store.write() as connection:
            self._cursors.write(connection, TIDIED_AT, now.timestamp())

    def count(self) -> dict[str, int]:
        """How many rows of each table would go today, ``MOST_COUNTED`` at most of each and steps of timers left out;
        nothing is deleted. What a tidying that was cut short has left of the addresses of enquiries is not counted.
        Raises StoreUnavailable."""
        found: dict[str, int] = {}
        for part in self._parts(self._clock.now()):
            if part.came_at is None:
                rows = self._count_unordered(part)
            else:
                rows = self._count_in_order(part.table, part.came_at, part.before, part.may_go)
            found[part.table.name] = min(found.get(part.table.name, 0) + rows, MOST_COUNTED)
        return {name: rows for name, rows in found.items() if rows}

    def _count_unordered(self, part: _Part) -> int:
        condition = part.may_go if part.counted is None else part.counted
        old = select(part.number).where(self._store.owns(part.table), condition).limit(MOST_COUNTED).subquery()
        with self._store.read() as connection:
            return int(connection.execute(select(func.count()).select_from(old)).scalar_one())

    def _count_in_order(
        self, table: Table, came_at: ColumnElement[float], before: float, may_go: ColumnElement[bool]
    ) -> int:
        """As ``_old_in_order`` walks; most tables end within the first few rows, so each time twice as many are asked
        for."""
        rows, last, size = 0, 0, BATCH_SIZE
        while rows < MOST_COUNTED:
            walk = self._walk(table, came_at, and_(came_at < before, may_go), last, size).subquery()
            old = func.coalesce(func.sum(case((walk.c.old, 1), else_=0)), 0)
            query = select(func.count(), old, func.max(walk.c.id), func.max(walk.c.came_at))
            with self._store.read() as connection:
                many, found, last, newest = connection.execute(query).one()
            rows += int(found)
            if many < size or newest >= before:
                break
            size = min(2 * size, MOST_COUNTED)
        return rows

    def _parts(self, now: datetime) -> Iterator[_Part]:
        """What is old, in the order in which it goes."""
        hooks = (now - self._keep.keep_hooks).timestamp()
        told = (now - self._keep.keep_journal).timestamp()
        done = func.coalesce(outbox.c.done_at, outbox.c.created_at)
        yield _Part(inbox, inbox.c.id, inbox.c.state == "decoded", inbox.c.received_at, hooks)
        read = intake_requests.c.state.not_in(("new", "files"))
        yield _Part(intake_requests, intake_requests.c.id, read, intake_requests.c.received_at, hooks)
        yield _Part(events, events.c.id, events.c.state.in_(SETTLED), events.c.received_at, hooks)
        known = enquiries.c.state.in_(("done", "skipped", "dry"))
        yield _Part(enquiries, enquiries.c.id, and_(known, enquiries.c.received_at < told))
        theirs = (enquiries.c.account == self._store.account_id, enquiries.c.id == _addresses.enquiry_id)
        going = select(enquiries.c.id).where(self._store.owns(enquiries), known, enquiries.c.received_at < told)
        of_going = _addresses.enquiry_id.in_(going)
        yield _Part(enquiry_addresses, _addresses.enquiry_id, ~exists().where(*theirs), counted=of_going)
        settled = and_(outbox.c.state.in_(SETTLED), done < told, outbox.c.key.not_like(ONCE))
        yield _Part(outbox, outbox.c.id, settled, outbox.c.created_at, told)
        yield _Part(journal, journal.c.id, true(), journal.c.at, told)
        # Telephones of clients stand in them.
        ended = dial_calls.c.state.not_in(("asking", "placed", "doubt", "unknown"))
        yield _Part(dial_calls, dial_calls.c.id, ended, dial_calls.c.asked_at, told)
        over = and_(dials.c.state == "ended", dials.c.ended_at < told)
        yield _Part(dials, dials.c.id, over, dials.c.started_at, told)
        answered = approval_presses.c.done_at.is_not(None)
        yield _Part(approval_presses, approval_presses.c.id, answered, approval_presses.c.received_at, told)
        decided = and_(approvals.c.state.in_(("closed", "refused")), approvals.c.due_at < told)
        yield _Part(approvals, approvals.c.id, decided)
        closed = and_(staff_messages.c.state.in_(("closed", "refused")), staff_messages.c.due_at < told)
        yield _Part(staff_messages, staff_messages.c.id, closed)
        yield _Part(sms, sms.c.id, sms.c.state != "sent", sms.c.sent_at, told)
        yield _Part(audience_uploads, audience_uploads.c.id, audience_uploads.c.ended_at < told)
        left = and_(audience_members.c.state == "out", audience_members.c.since < told)
        yield _Part(audience_members, audience_members.c.id, left)
        yield _Part(audience_holds, audience_holds.c.deal_id, audience_holds.c.ended_at < told)
        yield _Part(touches, touches.c.id, touches.c.at < (now - TOUCHES_KEPT).timestamp())
        passing = deal_facts.c.what.in_((STAGE, OWNER))
        yield _Part(deal_facts, deal_facts.c.id, and_(passing, deal_facts.c.at < (now - MOVES_KEPT).timestamp()))
        finished = and_(tasks.c.is_completed, tasks.c.updated_at < (now - FINISHED_KEPT).timestamp())
        yield _Part(tasks, tasks.c.task_id, finished)
        long_ago = (now - TASK_HISTORY_KEPT).timestamp()
        yield _Part(task_history, task_history.c.id, _is_past(self._store.account_id, long_ago))

    def _old_numbers(self, part: _Part) -> Select[Any]:
        """Of rows that did not come in the order in which things happened."""
        return select(part.number).where(self._store.owns(part.table), part.may_go)

    def _unordered(self, part: _Part) -> Iterator[tuple[str, int]]:
        while True:
            with self._store.read() as connection:
                ids = connection.execute(self._old_numbers(part).limit(BATCH_SIZE)).scalars().all()
            if not ids:
                return
            with self._store.write() as connection:
                mine = and_(self._store.owns(part.table), part.may_go)
                connection.execute(delete(part.table).where(mine, part.number.in_(ids)))
            yield part.table.name, len(ids)

    def _chunks(
        self, table: Table, came_at: ColumnElement[float], before: float, may_go: ColumnElement[bool]
    ) -> Iterator[tuple[str, int]]:
        for ids in self._old_in_order(table, came_at, before, may_go):
            with self._store.write() as connection:
                connection.execute(delete(table).where(table.c.id.in_(ids), may_go))
            yield table.name, len(ids)

    def _old_in_order(
        self, table: Table, came_at: ColumnElement[float], before: float, may_go: ColumnElement[bool]
    ) -> Iterator[list[int]]:
        """Numbers of old rows, some at a time. Rows are numbered in the order in which they came: the first one that is
        young ends the walk."""
        old = and_(came_at < before, may_go)
        last = 0
        while True:
            walk = self._walk(table, came_at, old, last, BATCH_SIZE)
            with self._store.read() as connection:
                rows = connection.execute(walk).all()
            if ids := [row.id for row in rows if row.old]:
                yield ids
            if len(rows) < BATCH_SIZE or rows[-1].came_at >= before:
                return
            last = rows[-1].id

    def _walk(
        self, table: Table, came_at: ColumnElement[float], old: ColumnElement[bool], last: int, size: int
    ) -> Select[Any]:
        # By number: an index that begins with the account would be read whole, and sorted, for each chunk.
        mine = table.c.account + 0 == self._store.account_id
        query = select(table.c.id, came_at.label("came_at"), old.label("old"))
        return query.where(mine, table.c.id > last).order_by(table.c.id).limit(size)


def _is_past(account: int, before: float) -> ColumnElement[bool]:
    """States of tasks that ended before then and have not been told of since."""
    later = task_history.alias()
    is_same = and_(later.c.account == account, later.c.task_id == task_history.c.task_id)
    # By the task: what has changed since then is many rows, looked through for each of these.
    is_kept = exists().where(is_same, later.c.since + 0 >= before)
    is_open = exists().where(
        tasks.c.account == account, tasks.c.task_id == task_history.c.task_id, tasks.c.is_completed.is_(False)
    )
    return and_(task_history.c.since < before, ~is_kept, ~is_open)


class RetentionJob:
    """Retention as the worker does it: once a day, in portions; ``again`` asks for the next one."""

    def __init__(self, retention: Retention, again: Callable[[], None]) -> None:
        self._retention = retention
        self._again = again
        self._going: Iterator[tuple[str, int]] | None = None
        self._deleted: dict[str, int] = {}

    def run(self) -> None:
        """The next portion, if one is due. Raises StoreUnavailable; then the next run begins anew."""
        if self._going is None:
            if not self._retention.is_due():
                return
            self._going, self._deleted = self._retention.tidy(), {}
        going, self._going = self._going, None
        for _ in range(CHUNKS_IN_A_ROW):
            chunk = next(going, None)
            if chunk is None:
                log.info("old rows deleted", **self._deleted)
                return
            self._deleted[chunk[0]] = self._deleted.get(chunk[0], 0) + chunk[1]
        self._going = going
        self._again()
