"""Answers that are still to come: looked at again when they have had time.

From the list of tasks amoCRM tells a completion first and its result in a hook of its own, which may get lost. So an
empty answer is judged only after a while, by what the task's result is then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from sqlalchemy import Column, Row, Select, and_, exists, literal_column, or_, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm import webhooks
from amo_bridge.engine.effects import in_channel
from amo_bridge.events import Event, TaskAnswered, TaskReported
from amo_bridge.events.codec import fingerprint, to_json
from amo_bridge.mirror.tasks import Fresh, ReadTasks, meet, settling
from amo_bridge.mirror.touches import answers_in, learn
from amo_bridge.storage.database import Store, insert_new
from amo_bridge.storage.tables import events, in_open_state, inbox, outbox

TIME_TO_ANSWER = 15.0


def await_answers(
    connection: Connection, account: int, answers: Sequence[TaskAnswered], now: datetime, seconds: float
) -> None:
    """Have these judged in ``seconds``. They stand in no queue of their deal: what happens there meanwhile does not
    wait."""
    due = now.timestamp() + seconds
    insert_new(
        connection,
        events,
        [
            {
                "account": account,
                "key": f"answer:{answer.task_id}:{int(answer.at.timestamp()) if answer.at else 0}",
                "deal_id": None,
                "received_at": now.timestamp(),
                "due_at": due,
                "body": json.dumps(to_json(answer), ensure_ascii=False),
                "state": "open",
            }
            for answer in answers
        ],
    )


# From raw bodies to events: each new inbox row is decoded once, and what was told before is dropped by its key.

# As many as the planner judges at once.
BATCH = 1000
# Bodies decoded in one transaction, and events (a bulk change has 250 in one body): hooks that come in meanwhile
# wait for theirs, and amoCRM does not wait long.
TOGETHER, EVENTS_TOGETHER = 100, 250
# amoCRM tries five times over some hour and a half (amoCRM docs, webhooks-format).
REDELIVERED_WITHIN = 2 * 3600


def decode_new(store: Store, account: int, read_tasks: ReadTasks = lambda task_ids: {}) -> int:
    """Decode the bodies that came since last time; returns how many there were. ``read_tasks``: see ``task_door``;
    raises what that raises."""
    with store.read() as connection:
        rows = connection.execute(
            select(inbox.c.id, inbox.c.body, inbox.c.received_at)
            .where(inbox.c.account == account, inbox.c.state == "new")
            .order_by(inbox.c.id)
            .limit(BATCH)
        ).all()
    for some, told in _together(rows):
        settling(read_tasks, partial(_keep, store, account, some, told))
    return len(rows)


def _keep(store: Store, account: int, inbox_ids: Sequence[int], told: Sequence[QueuedEvent], fresh: Fresh) -> None:
    with store.write() as connection:
        _insert(connection, account, told, fresh)
        connection.execute(update(inbox).where(inbox.c.id.in_(inbox_ids)).values(state="decoded"))


def _together(rows: Sequence[Any]) -> Iterator[tuple[list[int], list[QueuedEvent]]]:
    """Ids of rows, and what those told: as much as may be written at once."""
    some: list[int] = []
    told: list[QueuedEvent] = []
    for row in rows:
        some.append(row.id)
        told += [QueuedEvent(event, row.received_at, row.id) for event in webhooks.decode(row.body)]
        if len(some) >= TOGETHER or len(told) >= EVENTS_TOGETHER:
            yield some, told
            some, told = [], []
    if some:
        yield some, told


def add_events(
    connection: Connection,
    account: int,
    found: Sequence[Event],
    received_at: float,
    *,
    inbox_id: int | None = None,
    fresh: Fresh | None = None,
) -> int:
    """Write events that are not there yet; returns how many. The key is made of what the event says, so a repeated hook
    adds nothing. ``fresh``: see ``task_door.meet``."""
    return _insert(connection, account, [QueuedEvent(event, received_at, inbox_id) for event in found], fresh)


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

    def row(self, account: int, key: str) -> dict[str, Any]:
        return {
            "account": account,
            "inbox_id": self.inbox_id,
            "key": key,
            "deal_id": self.event.about_deal_id,
            "received_at": self.received_at,
            "body": json.dumps(to_json(self.event, with_raw=True), ensure_ascii=False),
            "state": "open",
        }


def _insert(connection: Connection, account: int, heard: Sequence[QueuedEvent], fresh: Fresh | None) -> int:
    """Write those that are news and not there yet, and what the mirror learns from them; how many."""
    told = _with_answers(connection, account, _news(connection, account, heard, fresh))
    learn(connection, account, [one.event for one in heard])
    there = _marks_there(connection, account, [one.dedup_key for one in told if one.event.is_repeatable])
    return insert_new(connection, events, [one.row(account, _key(connection, account, one, there)) for one in told])


def _news(connection: Connection, account: int, heard: Sequence[QueuedEvent], fresh: Fresh | None) -> list[QueuedEvent]:
    """Without the words about tasks that say nothing new; the others completed by what was known."""
    about_tasks = [one.event for one in heard if isinstance(one.event, TaskReported)]
    if not about_tasks:
        return list(heard)
    news = iter(meet(connection, account, about_tasks, fresh))
    met: list[QueuedEvent] = []
    for one in heard:
        event = next(news) if isinstance(one.event, TaskReported) else one.event
        if event is not None:
            met.append(replace(one, event=event))
    return met


def _with_answers(connection: Connection, account: int, told: Sequence[QueuedEvent]) -> list[QueuedEvent]:
    """Each followed by what it means for the deals whose client has called or written."""
    with_answers: list[QueuedEvent] = []
    for one in told:
        answers = answers_in(connection, account, [one.event])
        with_answers += [one, *(replace(one, event=answer) for answer in answers)]
    return with_answers


def _marks_there(connection: Connection, account: int, marks: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(marks), BATCH):
        mine = (events.c.account == account, events.c.key.in_(marks[start : start + BATCH]))
        found |= set(connection.execute(select(events.c.key).where(*mine)).scalars())
    return found


def _key(connection: Connection, account: int, told: QueuedEvent, there: set[str]) -> str:
    """What makes a repeat known: the same key is the same thing told again. ``there``: marks that are keys already."""
    if told.is_timeless:
        return _timeless_key(connection, account, told.dedup_key, told.received_at)
    return _deal_key(connection, account, told.dedup_key) if told.dedup_key in there else told.dedup_key


def _deal_key(connection: Connection, account: int, mark: str) -> str:
    """A hook about a deal rings again even if it says what was said before: a deal that is lost, put back and lost
    again within a second gives two equal hooks. Whether it is news the mirror decides; one that waits is not doubled.
    """
    same = connection.execute(_like(account, mark, events.c.key, events.c.state)).all()
    waiting = [row.key for row in same if row.state == "open"]
    if waiting:
        return str(waiting[0])
    return f"{mark}#{len(same)}" if same else mark


def _timeless_key(connection: Connection, account: int, mark: str, received_at: float) -> str:
    """A hook without a time (a Digital Pipeline trigger, a deleted contact) looks the same when the same thing happens
    again next week, so it is a repeat only while amoCRM may still be redelivering it."""
    recent = _like(account, mark, events.c.key).where(events.c.received_at > received_at - REDELIVERED_WITHIN)
    return connection.execute(recent.limit(1)).scalar() or f"{mark}:{int(received_at)}"


def _like(account: int, mark: str, *columns: Column[Any]) -> Select[Any]:
    """The events whose key is ``mark`` or begins with it ("~" sorts behind everything that may follow)."""
    return select(*columns).where(events.c.account == account, events.c.key >= mark, events.c.key < mark + "~")


# The events that are to be judged next.
#
# Order: an event of a deal waits while an older one of the same deal is open, or while effects of an older one are not
# yet sent; thousands of deals still fill a batch.


class OpenEvents:
    def __init__(self, store: Store, account_id: int, clock: Clock) -> None:
        self._store = store
        self._key = account_id
        self._clock = clock

    def oldest(self, most: int) -> list[Row[Any]]:
        """Those that may be judged now: id, key, body, deal_id, received_at."""
        now = self._clock.now().timestamp()
        older = outbox.alias()
        waits_for_effects = exists().where(
            and_(
                older.c.account == self._key,
                older.c.deal_id == events.c.deal_id,
                in_open_state(older),
                in_channel("crm", older),
            )
        )
        earlier = events.alias()
        waits_for_event = exists().where(
            and_(
                earlier.c.account == self._key,
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
                        events.c.account == self._key,
                        events.c.state == "open",
                        events.c.due_at <= now,
                        ~waits_for_effects,
                        ~waits_for_event,
                    )
                    .order_by(events.c.id)
                    .limit(most)
                )
            )


# Whether there is anything to do: one question for all queues, so that an idle account costs one look a second.
#
# It is asked before each round. Every queue keeps a partial index of its open rows, so an empty one answers at once.


class PendingWork:
    def __init__(self, store: Store, account: int, clock: Clock) -> None:
        self._store = store
        self._account = account
        self._clock = clock

    def has_work(self) -> bool:
        """Is there a hook to decode, an event to judge, an effect to send or to look for, that is due? Raises
        StoreUnavailable."""
        with self._store.read() as connection:
            return bool(connection.execute(self.question()).scalar_one())

    def question(self) -> Select[tuple[bool]]:
        """The statement that asks."""
        now = self._clock.now().timestamp()
        # States stand in the statement's own text: SQLite takes a partial index only for what it knows before.
        new, unjudged = inbox.c.state == literal_column("'new'"), events.c.state == literal_column("'open'")
        unsettled = and_(in_open_state(outbox), outbox.c.state != literal_column("'waiting'"))
        return select(
            or_(
                exists().where(inbox.c.account == self._account, new),
                exists().where(events.c.account == self._account, unjudged, events.c.due_at <= now),
                exists().where(outbox.c.account == self._account, unsettled, outbox.c.due_at <= now),
            )
        )
