"""One task as the mirror keeps it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self, TypeVar

from sqlalchemy import Float, Row, bindparam, case, delete, false, insert, null, select, update
from sqlalchemy.engine import Connection

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import tasks_by_ids
from amo_bridge.crm.records import ENTITY_TYPES, EPOCH, TaskRecord
from amo_bridge.errors import CrmForbidden, CrmRefused
from amo_bridge.events import TaskAdded, TaskCompleted, TaskDeleted, TaskReported, TaskUpdated
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.storage.database import chunks, insert_or_replace
from amo_bridge.storage.tables import NO_END, in_open_state, made, outbox, task_history, tasks


@dataclass(frozen=True, kw_only=True)
class MirroredTask:
    """``entity_type``: deal, contact, company or customer; None for a task on nobody's card. ``created_at``: EPOCH as
    long as nobody has told that it was added. ``completed_at``: when it was finished, as far as amoCRM tells. Times are
    aware UTC, users' ids 0 for a robot or nobody."""

    id: int
    entity_type: str | None = None
    entity_id: int | None = None
    responsible_user_id: int = 0
    created_by: int = 0
    task_type_id: int = 1
    text: str = ""
    result: str | None = None
    is_completed: bool = False
    due: datetime = EPOCH
    created_at: datetime = EPOCH
    updated_at: datetime = EPOCH
    completed_at: datetime | None = None

    @property
    def deal_id(self) -> int | None:
        """The deal on whose card the task is."""
        return self.entity_id if self.entity_type == "deal" else None

    @classmethod
    def of(cls, record: TaskRecord) -> Self:
        """The copy of a task that was read."""
        return cls(
            id=record.id,
            entity_type=ENTITY_TYPES.get(record.entity_type or ""),
            entity_id=record.entity_id,
            responsible_user_id=record.responsible_user_id,
            created_by=record.created_by,
            task_type_id=record.task_type_id,
            text=record.text,
            result=record.result,
            is_completed=record.is_completed,
            due=record.complete_till,
            created_at=record.created_at,
            updated_at=record.updated_at,
            completed_at=record.updated_at if record.is_completed else None,
        )

    @classmethod
    def of_event(cls, event: TaskReported) -> Self:
        """What is known of a task that was only told of."""
        at = event.at or event.created_at or EPOCH
        is_added = isinstance(event, TaskAdded)
        return cls(
            id=event.task_id,
            entity_type=event.entity_type,
            entity_id=event.entity_id,
            responsible_user_id=event.responsible_user_id or 0,
            created_by=(event.user_id or 0) if is_added else 0,
            task_type_id=event.task_type_id or 1,
            text=event.text or "",
            result=event.result or None,
            is_completed=event.is_completed or False,
            due=event.due or EPOCH,
            created_at=event.created_at or at if is_added else EPOCH,
            updated_at=at,
            completed_at=at if event.is_completed else None,
        )

    @classmethod
    def of_row(cls, row: Row[Any]) -> Self:
        """The copy that ``row`` of the store holds."""
        return cls(
            id=row.task_id,
            entity_type=row.entity_type,
            entity_id=row.entity_id,
            responsible_user_id=row.responsible_user_id,
            created_by=row.created_by,
            task_type_id=row.task_type_id,
            text=row.text,
            result=row.result,
            is_completed=bool(row.is_completed),
            due=_moment(row.due_at),
            created_at=_moment(row.created_at),
            updated_at=_moment(row.updated_at),
            completed_at=None if row.completed_at is None else _moment(row.completed_at),
        )

    def row(self, account: int) -> Mapping[str, Any]:
        """As the store keeps it."""
        return {
            "account": account,
            "task_id": self.id,
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "responsible_user_id": self.responsible_user_id,
            "created_by": self.created_by,
            "task_type_id": self.task_type_id,
            "text": self.text,
            "result": self.result,
            "is_completed": self.is_completed,
            "due_at": self.due.timestamp(),
            "created_at": self.created_at.timestamp(),
            "updated_at": self.updated_at.timestamp(),
            "completed_at": self.completed_at.timestamp() if self.completed_at else None,
        }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# Our own changes of tasks: those on their way, and those that are done.
#
# amoCRM's hook about a write may overtake the record that it is done: until then, or when the answer was lost, the hook
# is recognised by what is being written. Once it is recorded the mirror knows it (engine/write_results.py); but a word
# of what was before it may still come, and has the same time if it happened in the same second.

ON_THEIR_WAY = ("sending", "doubt")

Facts = Mapping[str, Any]


def on_their_way(connection: Connection, account: int, task_ids: Collection[int]) -> dict[int, Facts]:
    """Task → what is being written into it, by the names that a copy and an event have for it."""
    if not task_ids:
        return {}
    mine = (outbox.c.account == account, in_open_state(outbox), outbox.c.kind == "change_task")
    rows = select(outbox.c.payload).where(*mine, outbox.c.state.in_(ON_THEIR_WAY)).order_by(outbox.c.id)
    written: dict[int, Facts] = {}
    for payload in connection.execute(rows).scalars():
        body = json.loads(payload)["body"]
        if body["id"] in task_ids:
            written[body["id"]] = _facts(body)
    return written


class DoneWrite(NamedTuple):
    """What was written into a task, and when, by amoCRM's clock."""

    at: datetime
    facts: Facts


def done_writes(connection: Connection, account: int, copies: Iterable[MirroredTask]) -> dict[int, list[DoneWrite]]:
    """Task → our recorded changes of it, oldest first; only of tasks on deals' cards, by which they are found."""
    deal_of = {copy.id: copy.deal_id for copy in copies if copy.deal_id is not None}
    found: dict[int, list[DoneWrite]] = {}
    for chunk in chunks(sorted(set(deal_of.values()))):
        mine = (outbox.c.account == account, outbox.c.deal_id.in_(chunk))
        done = (outbox.c.kind == "change_task", outbox.c.state == "done")
        query = select(outbox.c.payload, outbox.c.result).where(*mine, *done).order_by(outbox.c.id)
        for payload, result in connection.execute(query):
            body, at = json.loads(payload)["body"], json.loads(result or "{}").get("at")
            if body["id"] in deal_of and at is not None:
                found.setdefault(body["id"], []).append(DoneWrite(datetime.fromtimestamp(at, UTC), _facts(body)))
    return found


def _facts(body: Mapping[str, Any]) -> Facts:
    same = ("text", "task_type_id", "responsible_user_id", "is_completed")
    facts: dict[str, Any] = {name: body[name] for name in same if name in body}
    if "complete_till" in body:
        facts["due"] = datetime.fromtimestamp(body["complete_till"], UTC)
    if body.get("result"):
        facts["result"] = body["result"]["text"]
    return facts


# What is news in a word about a task: compared with what was known of it.

# The hook and the events list may date one completion a little differently.
SLACK = timedelta(minutes=2)
NOTHING: Mapping[str, Any] = {}
FACTS = ("text", "task_type_id", "responsible_user_id", "due", "is_completed", "result")

Now = MirroredTask | None
Kind = TypeVar("Kind", bound=TaskReported)


def news_of(
    event: TaskReported, known: Now, made_for: int | None = None, written: Mapping[str, Any] = NOTHING
) -> tuple[TaskReported | None, Now]:
    """The event as rules are to hear it (None: nothing new), and what is known of the task from now on.

    ``made_for``: the deal of a task that a rule made, for a deleted one of which nothing else is known. ``written``:
    what the bridge is writing into the task just now (``own_writes``).
    """
    if isinstance(event, TaskDeleted):
        return _deleted(event, known, made_for), None
    if known is None:
        copy = MirroredTask.of_event(event)
        return event, replace(copy, is_completed=True, completed_at=event.at) if _completes(event) else copy
    if isinstance(event, TaskAdded) and known.created_at == EPOCH:
        # It was overtaken by a word about a later change.
        return event, replace(known, created_at=event.created_at or event.at or EPOCH, created_by=event.user_id or 0)
    if event.at is not None and event.at < known.updated_at:
        return None, known
    changed = differing(event, known)
    if changed and changed.items() <= written.items():
        # The echo of a write that is not yet recorded as done; the copy learns it when it is.
        return None, known
    now = _changed(event, known, changed)
    if changed:
        return _completed_by(event, known, changed), now
    return (_on_its_card(event, known), now) if _is_finished_again(event, known) else (None, now)


def differing(event: TaskReported, known: MirroredTask) -> dict[str, Any]:
    """What the event tells otherwise than it was known."""
    told = {name: getattr(event, name) for name in FACTS if _is_given(getattr(event, name))}
    if isinstance(event, TaskCompleted):
        told["is_completed"] = True
    return {name: value for name, value in told.items() if value != getattr(known, name)}


def is_in_doubt(event: TaskReported, known: MirroredTask, own: Sequence[DoneWrite] = ()) -> bool:
    """Can only a fresh read say whether the event tells what was before or after what is known?

    amoCRM's times have whole seconds, and hooks come in any order: so it is when another thing is told of the very
    second that is known, or of a time before one of our own writes was done. A result is only ever added.
    """
    if isinstance(event, TaskDeleted) or event.at is None or event.at < known.updated_at:
        return False
    if isinstance(event, TaskAdded) and known.created_at == EPOCH:
        return False
    if event.at > max((known.updated_at, *(one.at for one in own))):
        return False
    changed = differing(event, known)
    return bool(changed) and not (changed.keys() == {"result"} and known.result is None)


def settled(
    event: TaskReported,
    known: MirroredTask,
    record: TaskRecord,
    written: Mapping[str, Any] = NOTHING,
    own: Sequence[DoneWrite] = (),
) -> tuple[TaskReported | None, MirroredTask]:
    """As ``news_of`` for an event that is in doubt: ``record``, read after it was told, says what is so."""
    there = MirroredTask.of(record)
    facts = {name: getattr(there, name) for name in FACTS if _is_given(getattr(there, name))}
    changed = {name: value for name, value in facts.items() if value != getattr(known, name)}
    if changed and changed.items() <= written.items():
        return None, known
    at = max(record.updated_at, known.updated_at)
    completed_at = (at if there.is_completed else None) if "is_completed" in changed else known.completed_at
    now = replace(known, **changed, updated_at=at, completed_at=completed_at)
    ours = {name: value for one in own if event.at is None or one.at >= event.at for name, value in one.facts.items()}
    if changed.items() <= ours.items():
        # Nothing, or our own write put right what an older word had changed in the copy.
        return None, now
    if not changed.items() <= differing(event, known).items():
        # It tells of something else than what has become of the task since.
        event = replace(event, at=at, user_id=record.updated_by or None)
    return _completed_by(replace(event, **facts), known, changed), now


def _is_given(value: object) -> bool:
    return value is not None and value != ""


def _completes(event: TaskReported) -> bool:
    return isinstance(event, TaskCompleted) or bool(event.is_completed)


def _is_finished_again(event: TaskReported, known: MirroredTask) -> bool:
    """Nobody told that it was opened again meanwhile."""
    if not isinstance(event, TaskCompleted) or event.at is None:
        return False
    return event.at - (known.completed_at or EPOCH) > SLACK


def _changed(event: TaskReported, known: MirroredTask, changed: dict[str, Any]) -> MirroredTask:
    at = event.at or known.updated_at
    completed_at = known.completed_at
    if changed.get("is_completed") or _is_finished_again(event, known):
        completed_at = at
    elif changed.get("is_completed") is False:
        completed_at = None
    created_by = event.user_id or 0 if isinstance(event, TaskAdded) and not known.created_by else known.created_by
    return replace(
        known, **changed, created_by=created_by, updated_at=max(at, known.updated_at), completed_at=completed_at
    )


def _completed_by(event: TaskReported, known: MirroredTask, changed: dict[str, Any]) -> TaskReported:
    """The event with what was before, as the kind of event that it is by what changed: a hook that finds a task
    finished tells that it was finished, and one that only adds the result does not."""
    kind = TaskCompleted if changed.get("is_completed") else TaskUpdated
    more: dict[str, Any] = {
        "old_text": known.text if "text" in changed else None,
        "old_due": known.due if "due" in changed else None,
        "old_responsible_user_id": known.responsible_user_id if "responsible_user_id" in changed else None,
    }
    return _as(kind, _on_its_card(event, known), **more)


def _deleted(event: TaskDeleted, known: Now, made_for: int | None) -> TaskDeleted:
    if known is None:
        return replace(event, entity_type="deal", entity_id=made_for) if made_for and not event.entity_id else event
    return _as(TaskDeleted, _on_its_card(event, known), is_completed=known.is_completed)


def _on_its_card(event: TaskReported, known: MirroredTask) -> TaskReported:
    """What the event leaves out, as it was known."""
    facts = ("entity_type", "entity_id", "text", "task_type_id", "responsible_user_id", "due", "result")
    missing = {name: getattr(known, name) for name in facts if not _is_given(getattr(event, name))}
    return replace(event, **missing)


def _as(kind: type[Kind], event: TaskReported, **changed: Any) -> Kind:
    told = {one.name: getattr(event, one.name) for one in fields(event)}
    return kind(**(told | changed))


# Tasks as they were last known: the open ones, and the finished ones for some days.
#
# For reports, for pages, and to know what changed (``task_door``). What a rule decides on is read afresh all the same.


NO_TASKS: Mapping[int, MirroredTask] = {}
# What a state in the history consists of.
STATE_FACTS = ("due", "responsible_user_id", "is_completed")
# A task that was met so soon after it was made has had no other deadline.
MET_AT_ONCE_SECONDS = 120


class TaskRows:
    """One account's tasks, within a transaction of somebody else's."""

    def __init__(self, account: int) -> None:
        self._account = account

    def known(self, connection: Connection, task_ids: Iterable[int]) -> dict[int, MirroredTask]:
        """Those of the tasks that are known."""
        found = {}
        for chunk in chunks(sorted(set(task_ids))):
            rows = connection.execute(select(tasks).where(tasks.c.account == self._account, tasks.c.task_id.in_(chunk)))
            found.update({row.task_id: MirroredTask.of_row(row) for row in rows})
        return found

    def open_of(self, connection: Connection, user_id: int, most: int) -> list[MirroredTask]:
        """A person's open tasks, what is due first first, ``most`` at most."""
        # In the words of the index of open tasks.
        wanted = (tasks.c.account == self._account, tasks.c.is_completed == false())
        query = select(tasks).where(*wanted, tasks.c.responsible_user_id == user_id).order_by(tasks.c.due_at)
        return [MirroredTask.of_row(row) for row in connection.execute(query.limit(most))]

    def put(
        self,
        connection: Connection,
        copies: Iterable[MirroredTask],
        before: Mapping[int, MirroredTask] = NO_TASKS,
        at: datetime | None = None,
    ) -> None:
        """Keep them as they are told, and their states in the history.

        ``before``: those that were known already, as they were. ``at``: since when it is so; None: since the copy's
        last change."""
        by_id = {copy.id: copy for copy in copies}
        known = {number: before[number] for number in by_id if number in before}
        states = {}
        for number, copy in by_id.items():
            if number not in known:
                states[number] = self._state(copy, _known_since(copy))
            elif any(getattr(copy, name) != getattr(known[number], name) for name in STATE_FACTS):
                states[number] = self._state(copy, at or copy.updated_at)
        self._follow(connection, states, known, by_id)
        rows = [copy.row(self._account) for copy in by_id.values()]
        insert_or_replace(connection, tasks, ("account", "task_id"), rows)

    def forget(self, connection: Connection, deleted: Mapping[int, MirroredTask], at: Mapping[int, datetime]) -> None:
        """Delete the copies of these tasks; the history keeps that they were deleted, ``at``: when."""
        gone = {
            task_id: self._state(copy, at.get(task_id, copy.updated_at), "deleted") for task_id, copy in deleted.items()
        }
        self._follow(connection, gone, deleted, deleted)
        for chunk in chunks(sorted(deleted)):
            connection.execute(delete(tasks).where(tasks.c.account == self._account, tasks.c.task_id.in_(chunk)))

    def _follow(
        self,
        connection: Connection,
        states: Mapping[int, dict[str, Any]],
        known: Mapping[int, MirroredTask],
        copies: Mapping[int, MirroredTask],
    ) -> None:
        """Each state ends the one before it. A known task without history begins with what was known of it."""
        last = self._last_states(connection, copies)
        self._date_creation(connection, copies, last)
        first = {
            number: _first(self._state(known[number], _known_since(known[number])))
            for number in sorted(known.keys() - last.keys())
        }
        ended = []
        for number, state in states.items():
            before = first.get(number)
            if number in last:
                state["created_at"] = state["created_at"] or last[number].created_at
            if before is None and number not in last:
                states[number].update(_first(state))
            elif before is None and last[number].state == "open":
                ended.append({"of": last[number].id, "until": _late_until(last[number].due_at, state["since"])})
            elif before and before["state"] == "open":
                before["late_until"] = _late_until(before["due_at"], state["since"])
        if ended:
            ends = update(task_history).where(task_history.c.id == bindparam("of"))
            connection.execute(ends.values(late_until=bindparam("until")), ended)
        if first or states:
            connection.execute(insert(task_history), [*first.values(), *states.values()])

    def _last_states(self, connection: Connection, task_ids: Iterable[int]) -> dict[int, Row[Any]]:
        """Task → the state that its history ends with."""
        found: dict[int, Row[Any]] = {}
        columns = (task_history.c[name] for name in ("id", "task_id", "created_at", "due_at", "state"))
        query = select(*columns).where(task_history.c.account == self._account)
        for chunk in chunks(sorted(task_ids)):
            for row in connection.execute(query.where(task_history.c.task_id.in_(chunk))):
                if row.task_id not in found or row.id > found[row.task_id].id:
                    found[row.task_id] = row
        return found

    def _date_creation(
        self, connection: Connection, copies: Mapping[int, MirroredTask], last: Mapping[int, Row[Any]]
    ) -> None:
        """Of tasks of which a later change was told first."""
        dated = [
            {"of": number, "made": copies[number].created_at.timestamp()}
            for number, row in last.items()
            if not row.created_at and copies[number].created_at > EPOCH
        ]
        if dated:
            made_at = bindparam("made", type_=Float)
            is_met_at_once = task_history.c.since - made_at <= MET_AT_ONCE_SECONDS
            mine = (task_history.c.account == self._account, task_history.c.task_id == bindparam("of"))
            assumed = case((is_met_at_once, null()), else_=task_history.c.assumed_until)
            values = {"created_at": made_at, "assumed_until": assumed}
            connection.execute(update(task_history).where(*mine).values(values), dated)

    def _state(self, copy: MirroredTask, since: datetime, name: str = "") -> dict[str, Any]:
        state = name or ("done" if copy.is_completed else "open")
        return {
            "account": self._account,
            "task_id": copy.id,
            "since": since.timestamp(),
            "created_at": copy.created_at.timestamp(),
            "due_at": copy.due.timestamp(),
            "responsible_user_id": copy.responsible_user_id,
            "state": state,
            "late_until": NO_END if state == "open" else None,
            "assumed_until": None,
        }


def _first(state: dict[str, Any]) -> dict[str, Any]:
    """The state as the first one of a history: what was before it is known only if the task was made just then."""
    since, made_at = state["since"], state["created_at"]
    is_known = bool(made_at) and since - made_at <= MET_AT_ONCE_SECONDS
    late_until = NO_END if state["state"] == "open" else _late_until(state["due_at"], since)
    return state | {"late_until": late_until, "assumed_until": None if is_known else since}


def _late_until(due_at: float, until: float) -> float | None:
    """Of a state that ended: it says nothing of a deadline that was kept."""
    return until if until > due_at else None


def _known_since(copy: MirroredTask) -> datetime:
    """Since when it is as it was met: nothing has changed after its last change."""
    return (copy.completed_at if copy.is_completed else None) or copy.updated_at


# Every report about a task comes this way before it becomes an event.
#
# What says nothing new is dropped, whoever said it and however often: a repeated hook, a late one, the echo of our own
# write, reconciliation. What is news is completed by what was known, so that rules hear what changed and on whose card.
# Of two words about one second nobody can say which was the later: then the task is read again, of all such tasks of a
# batch in one request.

Fresh = Mapping[int, TaskRecord | None]
"""Task → as it was read after all that is told; None: it can't be read."""
ReadTasks = Callable[[Collection[int]], Mapping[int, TaskRecord]]
Result = TypeVar("Result")


class InDoubt(Exception):
    """Which word about these tasks is the last one only a fresh read can say; nothing was written."""

    def __init__(self, task_ids: Collection[int]) -> None:
        super().__init__(f"tasks that must be read again: {sorted(task_ids)}")
        self.task_ids = task_ids


def reader_of(client: CrmClient) -> ReadTasks:
    """Reads tasks; where they may not be read, the words about them have to do. Raises CrmError."""

    def read(task_ids: Collection[int]) -> Mapping[int, TaskRecord]:
        try:
            return tasks_by_ids(client, task_ids)
        except (CrmForbidden, CrmRefused) as error:
            log.error("tasks can't be read", error=str(error))
            return {}

    return read


def settling(read: ReadTasks, attempt: Callable[[Fresh], Result]) -> Result:
    """Make the attempt (a transaction), again with the tasks read that are in doubt. Raises CrmError."""
    fresh: dict[int, TaskRecord | None] = {}
    while True:
        try:
            return attempt(fresh)
        except InDoubt as doubt:
            found = read(doubt.task_ids)
            fresh |= {number: found.get(number) for number in doubt.task_ids}


def record_task_events(
    connection: Connection, account: int, told: Sequence[TaskReported], fresh: Fresh | None = None
) -> list[TaskReported | None]:
    """What is news in each of these, in their order: the event completed by what was known, or None. The copies are
    changed accordingly, in this very transaction.

    Raises InDoubt when tasks must be read that are not in ``fresh``; where that is None, the words have to do."""
    rows = TaskRows(account)
    before = rows.known(connection, (event.task_id for event in told))
    made_for = _cards_of_made(connection, account, [one.task_id for one in told if isinstance(one, TaskDeleted)])
    written = on_their_way(connection, account, before)
    own = {} if fresh is None else done_writes(connection, account, _disputed(before, told))
    now: dict[int, MirroredTask | None] = dict(before)
    news: list[TaskReported | None] = []
    in_doubt: set[int] = set()
    for event in told:
        number, known = event.task_id, now.get(event.task_id)
        ours, ways = own.get(number, []), written.get(number, NOTHING)
        record = None
        if fresh is not None and known and is_in_doubt(event, known, ours):
            record = fresh.get(number)
            in_doubt |= {number} - fresh.keys()
        if record and known:
            found, now[number] = settled(event, known, record, ways, ours)
        else:
            found, now[number] = news_of(event, known, made_for.get(number), ways)
        news.append(found)
    if in_doubt:
        raise InDoubt(in_doubt)
    deleted = {number: known for number, known in before.items() if now[number] is None}
    rows.forget(connection, deleted, {event.task_id: event.at for event in told if event.at})
    rows.put(connection, [copy for number, copy in now.items() if copy and copy != before.get(number)], before)
    return news


def _disputed(known: Mapping[int, MirroredTask], told: Sequence[TaskReported]) -> list[MirroredTask]:
    """The tasks of which something else is told than was known, or several things."""
    times = Counter(event.task_id for event in told)
    return [
        copy
        for event in told
        if (copy := known.get(event.task_id)) and (times[copy.id] > 1 or differing(event, copy))
    ]  # fmt: skip


def _cards_of_made(connection: Connection, account: int, task_ids: Sequence[int]) -> Mapping[int, int]:
    """Task → deal, of tasks that rules made: a deleted one may be older than this copy of the tasks."""
    found: dict[int, int] = {}
    for chunk in chunks(task_ids):
        mine = (made.c.account == account, made.c.kind == "create_task", made.c.entity_id.in_(chunk))
        for row in connection.execute(select(made.c.entity_id, made.c.deal_id).where(*mine)):
            found[row.entity_id] = row.deal_id
    return found
