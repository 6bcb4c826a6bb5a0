"""Event queue: table ``events``, filled from the inbox; events that rules wait with.

The key of an event is made of what it says (``Event.dedup_key``), so whatever is reported twice is queued once. An
event about a deal waits for the older ones of that deal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    FromClause,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    column,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm import webhooks
from amo_bridge.engine.effects import in_channel
from amo_bridge.events import Event, TaskAnswered, TaskReported
from amo_bridge.events.base import fingerprint, from_json, to_json
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.tasks import Fresh, ReadTasks, record_task_events, settling
from amo_bridge.mirror.touches import answers_in, record_touches
from amo_bridge.storage.database import AccountStore, chunks, insert_new, insert_or_replace
from amo_bridge.storage.tables import (
    enquiries,
    events,
    imports,
    in_open_enquiry_state,
    in_open_state,
    inbox,
    intake_requests,
    outbox,
    waiting_events,
)

# How long the result of a completed task is waited for, if no webhook brings it.
ANSWER_DELAY_SECONDS = 15.0
# Inbox rows of one round: as many events as the processor takes at once.
BATCH_SIZE = 1000
# Bodies decoded in one transaction, and events (a bulk change has 250 in one body): webhooks that come in meanwhile
# wait for theirs, and amoCRM does not wait long.
CHUNK_BODIES, CHUNK_EVENTS = 100, 250
# amoCRM tries five times over some hour and a half (amoCRM docs, webhooks-format).
REDELIVERY_SECONDS = 2 * 3600


# --- from the inbox into the queue ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class QueuedEvent:
    """An event on its way into the queue. ``inbox_id``: the body it was decoded from, if it was."""

    event: Event
    received_at: float
    inbox_id: int | None

    @cached_property
    def dedup_key(self) -> str:
        """The beginning of its key."""
        return self.event.dedup_key or fingerprint(self.event)

    @property
    def is_timeless(self) -> bool:
        """Is it a repetition only as long as amoCRM redelivers webhooks?"""
        if self.event.at is not None or self.event.is_repeatable:
            return False
        return not self.event.happens_once or self.event.dedup_key is None

    def row(self, account_id: int, key: str) -> dict[str, Any]:
        # Its part of the body lies in the inbox as long as the event does.
        told = to_json(self.event, with_raw=self.inbox_id is None or self.event.at is None)
        return {
            "account": account_id,
            "inbox_id": self.inbox_id,
            "key": key,
            "deal_id": self.event.about_deal_id,
            "received_at": self.received_at,
            "body": json.dumps(told, ensure_ascii=False, separators=(",", ":")),
            "state": "open",
        }


def decode_new(store: AccountStore, read_tasks: ReadTasks = lambda task_ids: {}) -> int:
    """Decode the bodies that came since last time; returns how many there were.

    ``read_tasks``: see ``mirror.tasks.settling``; raises what that raises.
    """
    with store.read() as connection:
        rows = connection.execute(
            select(inbox.c.id, inbox.c.body, inbox.c.received_at)
            .where(store.owns(inbox), inbox.c.state == "new")
            .order_by(inbox.c.id)
            .limit(BATCH_SIZE)
        ).all()
    for inbox_ids, decoded in _chunks(rows):
        settling(read_tasks, partial(_write_chunk, store, inbox_ids, decoded))
    return len(rows)


def _write_chunk(store: AccountStore, inbox_ids: Sequence[int], decoded: Sequence[QueuedEvent], fresh: Fresh) -> None:
    with store.write() as connection:
        _insert(connection, store.account_id, decoded, fresh)
        connection.execute(update(inbox).where(inbox.c.id.in_(inbox_ids)).values(state="decoded"))


def _chunks(rows: Sequence[Any]) -> Iterator[tuple[list[int], list[QueuedEvent]]]:
    """Ids of inbox rows with their events: as much as may be written in one transaction."""
    inbox_ids: list[int] = []
    decoded: list[QueuedEvent] = []
    for row in rows:
        inbox_ids.append(row.id)
        decoded += [QueuedEvent(event, row.received_at, row.id) for event in webhooks.decode(row.body)]
        if len(inbox_ids) >= CHUNK_BODIES or len(decoded) >= CHUNK_EVENTS:
            yield inbox_ids, decoded
            inbox_ids, decoded = [], []
    if inbox_ids:
        yield inbox_ids, decoded


def add_events(
    connection: Connection,
    account_id: int,
    found: Sequence[Event],
    received_at: float,
    *,
    inbox_id: int | None = None,
    fresh: Fresh | None = None,
) -> int:
    """Queue the events that are not there yet; returns how many. ``fresh``: see ``mirror.tasks.record_task_events``."""
    return _insert(connection, account_id, [QueuedEvent(event, received_at, inbox_id) for event in found], fresh)


def queue_pending_answers(
    connection: Connection, account_id: int, answers: Sequence[TaskAnswered], now: datetime, delay_seconds: float
) -> None:
    """Queue tasks' results that are still to come, to be looked at after the delay.

    From the list of tasks amoCRM reports a completion first and its result in a webhook of its own, which may get lost.
    They stand in no deal's queue: what happens on the deal meanwhile does not wait.
    """
    insert_new(
        connection,
        events,
        [
            {
                "account": account_id,
                "key": f"answer:{answer.task_id}:{int(answer.at.timestamp()) if answer.at else 0}",
                "deal_id": None,
                "received_at": now.timestamp(),
                "due_at": now.timestamp() + delay_seconds,
                "body": json.dumps(to_json(answer), ensure_ascii=False),
                "state": "open",
            }
            for answer in answers
        ],
    )


def _insert(connection: Connection, account_id: int, reported: Sequence[QueuedEvent], fresh: Fresh | None) -> int:
    """Queue those that are news, and let the mirror learn from all; returns how many were queued."""
    queued = _with_answers(connection, account_id, _news(connection, account_id, reported, fresh))
    record_touches(connection, account_id, [item.event for item in reported])
    rows = [item.row(account_id, key) for item, key in zip(queued, _keys(connection, account_id, queued), strict=True)]
    return insert_new(connection, events, rows)


def _news(
    connection: Connection, account_id: int, reported: Sequence[QueuedEvent], fresh: Fresh | None
) -> list[QueuedEvent]:
    """Without the events about tasks that the mirror knows already; the others completed from the mirror."""
    about_tasks = [item.event for item in reported if isinstance(item.event, TaskReported)]
    if not about_tasks:
        return list(reported)
    task_events = iter(record_task_events(connection, account_id, about_tasks, fresh))
    news: list[QueuedEvent] = []
    for item in reported:
        event = next(task_events) if isinstance(item.event, TaskReported) else item.event
        if event is not None:
            news.append(replace(item, event=event))
    return news


def _with_answers(connection: Connection, account_id: int, reported: Sequence[QueuedEvent]) -> list[QueuedEvent]:
    """Each followed by what it means for the deals whose client called or wrote."""
    with_answers: list[QueuedEvent] = []
    for item, answers in zip(
        reported, answers_in(connection, account_id, [one.event for one in reported]), strict=True
    ):
        with_answers += [item, *(replace(item, event=answer) for answer in answers)]
    return with_answers


# The keys of a batch are looked for together: a query for each webhook was a good part of what receiving cost.


def _keys(connection: Connection, account_id: int, queued: Sequence[QueuedEvent]) -> list[str]:
    """The key in the queue of each, equal for a repetition."""
    repeatable = [item.dedup_key for item in queued if item.event.is_repeatable and not item.is_timeless]
    existing = _existing_keys(connection, account_id, repeatable)
    timeless = _timeless_keys(connection, account_id, [item for item in queued if item.is_timeless])
    keys: list[str] = []
    for item in queued:
        if item.is_timeless:
            keys.append(next(timeless))
        elif item.dedup_key in existing:
            keys.append(_repeated_key(connection, account_id, item.dedup_key))
        else:
            keys.append(item.dedup_key)
    return keys


def _existing_keys(connection: Connection, account_id: int, keys: Sequence[str]) -> set[str]:
    existing: set[str] = set()
    for chunk in chunks(keys, BATCH_SIZE):
        query = select(events.c.key).where(events.c.account == account_id, events.c.key.in_(chunk))
        existing |= set(connection.execute(query).scalars())
    return existing


def _repeated_key(connection: Connection, account_id: int, dedup_key: str) -> str:
    """The key of the equal event that is still open, otherwise one of its own.

    A deal that is lost, put back and lost again within a second gives two equal webhooks: the mirror decides whether
    the second is news.
    """
    equal = connection.execute(_like(account_id, dedup_key, events.c.key, events.c.state)).all()
    waiting = [row.key for row in equal if row.state == "open"]
    if waiting:
        return str(waiting[0])
    return f"{dedup_key}#{len(equal)}" if equal else dedup_key


def _timeless_keys(connection: Connection, account_id: int, items: Sequence[QueuedEvent]) -> Iterator[str]:
    """For each item the key of an equal event that came recently, otherwise one of its own.

    A webhook without a time (a Digital Pipeline trigger, a deleted contact) looks the same when the same thing happens
    again next week, so it is a repetition only while amoCRM may still be redelivering it.
    """
    if not items:
        return
    recent: dict[str, list[tuple[float, str]]] = {}
    oldest = min(item.received_at for item in items) - REDELIVERY_SECONDS
    for chunk in chunks(sorted({item.dedup_key for item in items}), BATCH_SIZE):
        told = {"account": account_id, "since": oldest, "keys": json.dumps(chunk)}
        for row in connection.execute(_RECENT[connection.dialect.name], told):
            recent.setdefault(row.value, []).append((row.received_at, row.key))
    for item in items:
        known = recent.setdefault(item.dedup_key, [])
        since = item.received_at - REDELIVERY_SECONDS
        key = next((key for at, key in known if at > since), None)
        if key is None:
            key = f"{item.dedup_key}:{int(item.received_at)}"
            known.append((item.received_at, key))
        yield key


def _recent(keys: FromClause) -> Select[Any]:
    """The events since ``since`` whose key begins with one of ``keys``, as ``_like`` has it."""
    beginning = keys.c.value
    return (
        select(beginning, events.c.key, events.c.received_at)
        .select_from(keys.join(events, and_(events.c.key >= beginning, events.c.key < beginning + "~")))
        .where(events.c.account == bindparam("account"), events.c.received_at > bindparam("since"))
    )


_BEGINNINGS = bindparam("keys", type_=Text)
_RECENT = {
    "sqlite": _recent(func.json_each(_BEGINNINGS).table_valued(column("value", Text))),
    "postgresql": _recent(
        func.json_array_elements_text(cast(_BEGINNINGS, JSON)).table_valued(column("value", Text)).render_derived()
    ),
}


def _like(account_id: int, dedup_key: str, *columns: Column[Any]) -> Select[Any]:
    """The events whose key is ``dedup_key`` or begins with it ("~" sorts behind everything that may follow)."""
    return select(*columns).where(
        events.c.account == account_id, events.c.key >= dedup_key, events.c.key < dedup_key + "~"
    )


# --- out of the queue -----------------------------------------------------------------------------------------------


class OpenEvents:
    """The events that may be processed next.

    An event of a deal waits while an older one of the same deal is open, or while effects of an older one are not sent;
    thousands of deals still fill a batch.
    """

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def oldest(self, limit: int) -> list[Row[Any]]:
        """Rows, oldest first: id, key, body, deal_id, received_at."""
        now = self._clock.now().timestamp()
        older = outbox.alias()
        waits_for_effects = exists().where(
            and_(
                self._store.owns(older),
                older.c.deal_id == events.c.deal_id,
                in_open_state(older),
                in_channel("crm", older),
            )
        )
        earlier = events.alias()
        waits_for_event = exists().where(
            and_(
                self._store.owns(earlier),
                earlier.c.deal_id == events.c.deal_id,
                earlier.c.id < events.c.id,
                earlier.c.state == "open",
                earlier.c.due_at > now,
            )
        )
        with self._store.read() as connection:
            return list(
                connection.execute(
                    select(events.c.id, events.c.key, events.c.body, events.c.deal_id, events.c.received_at)
                    .where(
                        self._store.owns(events),
                        events.c.state == "open",
                        events.c.due_at <= now,
                        ~waits_for_effects,
                        ~waits_for_event,
                    )
                    .order_by(events.c.id)
                    .limit(limit)
                )
            )


class PendingWork:
    """Asks all queues of an account in one statement, so that an idle account costs one look a second.

    Every queue has a partial index of its open rows: an empty one answers at once.
    """

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def has_work(self) -> bool:
        """Is a body to decode, an event to process, an effect to send or to look for due? Raises StoreUnavailable."""
        with self._store.read() as connection:
            return bool(connection.execute(self.question()).scalar_one())

    def question(self) -> Select[tuple[bool]]:
        """The statement of ``has_work``."""
        unsettled = and_(in_open_state(outbox), outbox.c.state != literal_column("'waiting'"))
        due = outbox.c.due_at <= self._clock.now().timestamp()
        return select(or_(*self._unjudged(), exists().where(self._store.owns(outbox), unsettled, due)))

    def is_judging(self) -> bool:
        """Is there anything that rules have not judged yet: what ``has_work`` asks for but the effects, and a webinar's
        import that is running? Raises StoreUnavailable."""
        with self._store.read() as connection:
            return bool(connection.execute(self.unjudged_question()).scalar_one())

    def unjudged_question(self) -> Select[tuple[bool]]:
        """The statement of ``is_judging``."""
        running = exists().where(self._store.owns(imports), imports.c.state == literal_column("'running'"))
        return select(or_(*self._unjudged(), running))

    def _unjudged(self) -> list[ColumnElement[bool]]:
        """The queues before the rules."""
        now = self._clock.now().timestamp()
        # States stand in the statement's own text: SQLite takes a partial index only for what it knows before.
        new, unprocessed = inbox.c.state == literal_column("'new'"), events.c.state == literal_column("'open'")
        return [
            exists().where(self._store.owns(inbox), new),
            *due_enquiries(self._store, now),
            exists().where(self._store.owns(events), unprocessed, events.c.due_at <= now),
        ]


def due_enquiries(store: AccountStore, now: float) -> list[ColumnElement[bool]]:
    """Is a vendor's request to read; is an enquiry or call due that is not settled."""
    return [
        exists().where(store.owns(intake_requests), intake_requests.c.state == literal_column("'new'")),
        exists().where(store.owns(enquiries), in_open_enquiry_state(), enquiries.c.due_at <= now),
    ]


# --- events that rules wait with --------------------------------------------------------------------------------------
# Those a rule could not act on yet, because its ``when`` was not met. When the deal has changed and still is on the
# same stage, the rule is evaluated on the event once more; when it has acted, or the deal has left, the row is gone.
# Restarts change nothing.


@dataclass(frozen=True)
class WaitingEvent:
    """An event that a rule waits with. ``event_key``: under which it would have been acted on; ``stage``: where the
    deal was. ``done_slots``: the tasks that the rule set already, when only some of them wait; None: nothing was done.
    """

    id: int
    rule: str
    event: Event
    event_key: str
    stage: tuple[int, int]
    done_slots: frozenset[str] | None = None


class WaitingEvents:
    """The waiting events of one account."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def of(self, deal_ids: Iterable[int]) -> dict[int, list[WaitingEvent]]:
        """Deal id → its waiting events, oldest first; deals without any are left out. Raises StoreUnavailable."""
        found: dict[int, list[WaitingEvent]] = {}
        with self._store.read() as connection:
            for chunk in chunks(sorted(set(deal_ids))):
                rows = connection.execute(
                    select(waiting_events)
                    .where(self._store.owns(waiting_events), waiting_events.c.deal_id.in_(chunk))
                    .order_by(waiting_events.c.id)
                )
                for row in rows:
                    if waiting := _restored(row):
                        found.setdefault(row.deal_id, []).append(waiting)
        return found

    def put(
        self,
        connection: Connection,
        deal_id: int,
        rule: str,
        event: Event,
        event_key: str,
        stage: tuple[int, int],
        done_slots: Iterable[str] | None,
        now: datetime,
    ) -> None:
        """Keep an event. An older one about the same subject is replaced: the rule wants the newest."""
        row: dict[str, Any] = {
            "account": self._store.account_id,
            "deal_id": deal_id,
            "rule": rule,
            "subject": event.subject[:120],
            "event_key": event_key,
            "event": json.dumps(to_json(event), ensure_ascii=False),
            "pipeline_id": stage[0],
            "status_id": stage[1],
            "done_slots": None if done_slots is None else json.dumps(sorted(done_slots), ensure_ascii=False),
            "at": now.timestamp(),
        }
        insert_or_replace(connection, waiting_events, ("account", "deal_id", "rule", "subject"), [row])

    def settle(self, connection: Connection, waiting: Sequence[WaitingEvent]) -> None:
        """These were acted on, or are past: nobody waits with them any more."""
        for chunk in chunks([one.id for one in waiting]):
            connection.execute(delete(waiting_events).where(waiting_events.c.id.in_(chunk)))

    def forget(self, connection: Connection, deal_ids: Iterable[int]) -> None:
        """Of deals that are deleted."""
        for chunk in chunks(sorted(deal_ids)):
            mine = (self._store.owns(waiting_events), waiting_events.c.deal_id.in_(chunk))
            connection.execute(delete(waiting_events).where(*mine))


def _restored(row: Row[Any]) -> WaitingEvent | None:
    """None for an event that a newer version of the bridge wrote."""
    stored: Mapping[str, Any] = json.loads(row.event)
    try:
        event = from_json(stored)
    except ValueError:
        return None
    return WaitingEvent(
        id=row.id,
        rule=row.rule,
        event=event,
        event_key=row.event_key,
        stage=(row.pipeline_id, row.status_id),
        done_slots=None if row.done_slots is None else frozenset(json.loads(row.done_slots)),
    )
