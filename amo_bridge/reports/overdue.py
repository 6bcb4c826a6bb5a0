"""Overdue tasks by person and day (A120), counted from the mirror's copy of the tasks.

Two ways to count. *Standing*: how many tasks were overdue when the day ended (today: how many are now); a task that
stays overdue counts on each such day. *Missed*: how many tasks fell due on that day and were not done in time; each
deadline of a task counts once, on its day, or when the task got it if that was later.

A day is judged by what was true on it: the deadline that the task had then, whose it was, whether it existed and was
open. A deadline moved later, a task given to somebody else or deleted changes no earlier day. What was before a task's
first known state nobody can tell: then that state counts, and ``Report.known_from`` says until when.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import date, timedelta
from math import inf
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row, Select, and_, case, false, func, or_, select
from sqlalchemy.engine import Connection

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import deals, task_history, tasks

Way = Literal["standing", "missed"]
WAYS: tuple[Way, ...] = ("standing", "missed")
DAY_SECONDS = 86_400


KEPT_OF_STATE = ("id", "task_id", "since", "responsible_user_id", "due_at", "created_at", "state")


class TaskState(NamedTuple):
    """What a task was from ``since`` on, until its next state. A tuple: a report makes some for each of many tasks."""

    since: float
    person: int
    due_at: float
    is_open: bool


@dataclass(frozen=True)
class Promise:
    """A task as far as punctuality goes. Moments are Unix seconds; ``done_at``: None while it is open.

    ``states``: oldest first; empty if nothing is known but the rest."""

    person: int
    due_at: float
    done_at: float | None
    states: tuple[TaskState, ...] = ()
    is_deleted: bool = False

    @property
    def history(self) -> tuple[TaskState, ...]:
        """Its states, oldest first."""
        if self.states:
            return self.states
        opened = TaskState(-inf, self.person, self.due_at, True)
        done = () if self.done_at is None else (opened._replace(since=self.done_at, is_open=False),)
        return (opened, *done)


@dataclass(frozen=True)
class Span:
    """A day: ``end`` is the next midnight, for today the present moment."""

    date: date
    begin: float
    end: float


@dataclass(frozen=True)
class Moves:
    """How often deadlines were moved, and by how much in all; back counts as less than nothing."""

    times: int = 0
    seconds: float = 0

    @property
    def days(self) -> float:
        """By how many days, to a tenth."""
        return round(self.seconds / DAY_SECONDS, 1)

    def __add__(self, other: Moves) -> Moves:
        return Moves(self.times + other.times, self.seconds + other.seconds)


@dataclass(frozen=True)
class Report:
    """``rows``: name → a figure for each of the days; ``tasks``: name → how many tasks these are, each counted once
    however many days it stood overdue. Most tasks first.

    ``moves``: name → what became of the deadlines of these tasks in these days, while they were his. ``task_count``:
    of everybody, each task once. ``known_from``: before this day some tasks are counted by a later deadline."""

    days: tuple[date, ...]
    rows: Mapping[str, tuple[int, ...]]
    tasks: Mapping[str, int] = field(default_factory=dict)
    moves: Mapping[str, Moves] = field(default_factory=dict)
    task_count: int = 0
    known_from: date | None = None

    @property
    def totals(self) -> tuple[int, ...]:
        """Of each day."""
        return tuple(sum(figures) for figures in zip(*self.rows.values(), strict=True)) or (0,) * len(self.days)

    @property
    def all_moves(self) -> Moves:
        """Of everybody."""
        return sum(self.moves.values(), Moves())


def overdue(store: AccountStore, spans: Sequence[Span], names: Mapping[int, str], way: Way) -> Report:
    """``names``: of the account's people, by id; somebody unknown goes by his number. Raises StoreUnavailable."""
    with store.read() as connection:
        promises = _promises(connection, store.account_id, spans, way)
        known_from = _known_from(connection, store.account_id, spans)
    return replace(counted(promises.values(), spans, names, way), known_from=known_from)


def knows_tasks(store: AccountStore) -> bool:
    """Has the bridge met any task at all? Without, nobody's punctuality is known. Raises StoreUnavailable."""
    with store.read() as connection:
        return connection.execute(select(tasks.c.task_id).where(store.owns(tasks)).limit(1)).first() is not None


def late_by_day(
    store: AccountStore, yesterday: float, today: float, now: float
) -> tuple[tuple[int, int, int], Counter[int]]:
    """How many open tasks are late by ``now``: due today, yesterday, before (these begin at the given moments); and
    person → how many. Raises StoreUnavailable."""
    of_today, of_yesterday = (func.sum(case((tasks.c.due_at >= begun, 1), else_=0)) for begun in (today, yesterday))
    mine = (store.owns(tasks), tasks.c.is_completed == false(), tasks.c.due_at < now)
    person = tasks.c.responsible_user_id
    query = select(person, func.count(), of_today, of_yesterday).where(*mine).group_by(person)
    days, people = [0, 0, 0], Counter[int]()
    with store.read() as connection:
        for user_id, many, since_today, since_yesterday in connection.execute(query):
            people[user_id] = many
            of_days = (since_today, since_yesterday - since_today, many - since_yesterday)
            days = [before + more for before, more in zip(days, of_days, strict=True)]
    return (days[0], days[1], days[2]), people


def counted(promises: Iterable[Promise], spans: Sequence[Span], names: Mapping[int, str], way: Way) -> Report:
    """Count the promises that were not kept. People who kept all of theirs are not in the report."""
    figures: dict[str, list[int]] = {}
    many: Counter[str] = Counter()
    moves: dict[str, Moves] = {}
    task_count = 0
    for promise in promises:
        broken = broken_on(promise, spans, way)
        for person in dict.fromkeys(broken.values()):
            name = name_of(person, names)
            many[name] += 1
            moves[name] = moves.get(name, Moves()) + moves_of(promise, spans, person)
        for number, person in broken.items():
            figures.setdefault(name_of(person, names), [0] * len(spans))[number] += 1
        task_count += bool(broken)
    ordered = sorted(figures, key=lambda name: (-many[name], -sum(figures[name]), name))
    return Report(
        days=tuple(span.date for span in spans),
        rows={name: tuple(figures[name]) for name in ordered},
        tasks={name: many[name] for name in ordered},
        moves={name: moves[name] for name in ordered},
        task_count=task_count,
    )


def name_of(person: int, names: Mapping[int, str]) -> str:
    """As the report calls him."""
    return names.get(person, f"№ {person}")


def is_counted(promise: Promise, span: Span, way: Way) -> bool:
    """Does the promise count as broken on this day?"""
    return bool(broken_on(promise, [span], way))


def broken_on(promise: Promise, spans: Sequence[Span], way: Way) -> dict[int, int]:
    """Number of the day on which it counts as broken → whose it was then."""
    if way == "missed":
        misses = list(_misses(promise))
        met = ((number, span, miss) for number, span in enumerate(spans) for miss in reversed(misses))
        return {number: state.person for number, span, (moment, state) in met if span.begin <= moment < span.end}
    newest_first, found = promise.history[::-1], {}
    for number, span in enumerate(spans):
        end = span.end
        for since, person, due_at, is_open in newest_first:
            if since < end:
                if is_open and due_at < end:
                    found[number] = person
                break
    return found


def _misses(promise: Promise) -> Iterable[tuple[float, TaskState]]:
    """When each of its deadlines passed while it was open, or was given to it when already past."""
    missed: set[float] = set()
    ends = [state.since for state in promise.history[1:]] + [inf]
    for state, until in zip(promise.history, ends, strict=True):
        moment = max(state.due_at, state.since)
        if state.is_open and until > moment and state.due_at not in missed:
            missed.add(state.due_at)
            yield moment, state


def moves_of(promise: Promise, spans: Sequence[Span], person: int | None = None) -> Moves:
    """What became of its deadline in these days while it was open; ``person``: while it was his."""
    found = Moves()
    for old, new in zip(promise.history, promise.history[1:], strict=False):
        is_his = person is None or old.person == person
        if is_his and old.is_open and new.due_at != old.due_at and spans[0].begin <= new.since < spans[-1].end:
            found += Moves(1, new.due_at - old.due_at)
    return found


def _late(account_id: int, spans: Sequence[Span], way: Way) -> Select[Any]:
    """Numbers of all tasks that may count on these days: they stood open past their deadline then."""
    late_until, due_at = task_history.c.late_until, task_history.c.due_at
    mine = (task_history.c.account == account_id, late_until > spans[0].begin, due_at < spans[-1].end)
    if way == "missed":
        # A deadline counts when it passes, or when the task gets it if it is past already.
        moments = (due_at, task_history.c.since, task_history.c.created_at)
        counts = or_(*(moment >= spans[0].begin for moment in moments))
    else:
        counts = or_(*(and_(due_at < span.end, late_until >= span.end) for span in spans))
    return select(task_history.c.task_id).where(*mine, counts)


def _promises(connection: Connection, account_id: int, spans: Sequence[Span], way: Way) -> dict[int, Promise]:
    """Task → its promise: of all that may count on these days, with their whole history."""
    mine = (task_history.c.account == account_id, task_history.c.task_id.in_(_late(account_id, spans, way)))
    columns = (task_history.c[name] for name in KEPT_OF_STATE)
    found: dict[int, list[tuple[Any, ...]]] = {}
    for state in sorted(map(tuple, connection.execute(select(*columns).where(*mine)).all())):
        found.setdefault(state[1], []).append(state)
    return {task_id: _promise(states) for task_id, states in found.items()}


def _known_from(connection: Connection, account_id: int, spans: Sequence[Span]) -> date | None:
    """Before this day some tasks are counted by a later deadline. One that does not count might, by an earlier one."""
    last = select(func.max(task_history.c.assumed_until)).where(task_history.c.account == account_id)
    assumed_until = connection.execute(last.where(task_history.c.assumed_until >= spans[0].begin)).scalar_one()
    if assumed_until is None:
        return None
    return next((span.date for span in spans if assumed_until < span.end), spans[-1].date + timedelta(days=1))


def _promise(states: Sequence[tuple[Any, ...]]) -> Promise:
    """What the history of a task says of punctuality. The first state in which it is open is in force from when it was
    made; so is that of a task that was met when it was done, until then."""
    known = [TaskState(since, person, due, state == "open") for _, _, since, person, due, _, state in states]
    met, last, (*_, created_at, last_state) = known[0], known[-1], states[-1]
    first = TaskState(created_at or -inf, met.person, met.due_at, True)
    later = known[1:] if met.is_open else known
    done_at = None if last.is_open else last.since
    return Promise(last.person, last.due_at, done_at, (first, *later), last_state == "deleted")


# Which tasks stand behind a figure of the report of overdue tasks.


@dataclass(frozen=True)
class LateTask:
    """``card``: deal, contact … and its id, where the task is; None for a task on nobody's card. ``deal_name``: empty
    if it is on no deal, or on one that the mirror does not know. ``text``: None for a task that the mirror has no more.
    ``moves``: of its deadline, in these days."""

    promise: Promise
    person: str
    text: str | None
    card: tuple[str, int] | None
    deal_name: str
    moves: Moves = Moves()


@dataclass(frozen=True)
class LateTasks:
    """``tasks``: those of a page; ``many``: how many there are."""

    tasks: Sequence[LateTask]
    many: int


def late_tasks(
    store: AccountStore,
    spans: Sequence[Span],
    names: Mapping[int, str],
    way: Way,
    person: str = "",
    *,
    most: int | None = None,
    passed: int = 0,
) -> LateTasks:
    """The tasks that count on one of these days at least, the longest overdue first. ``person``: only his, as the
    report calls him. ``most``: so many, after the first ``passed``, or the last ones. Raises StoreUnavailable."""
    found = []
    with store.read() as connection:
        promises = _promises(connection, store.account_id, spans, way)
        for task_id, promise in sorted(promises.items(), key=lambda item: (item[1].due_at, item[0])):
            people = [name_of(one, names) for one in broken_on(promise, spans, way).values()]
            if people and (not person or person in people):
                found.append((task_id, promise, person or people[-1]))
        if most is not None:
            passed = min(passed, max(0, len(found) - 1) // most * most)
        shown = found[passed:] if most is None else found[passed : passed + most]
        rows = _with_deals(connection, store.account_id, [task_id for task_id, *_ in shown])
    told = [
        _late_task(promise, rows.get(task_id), whose, moves_of(promise, spans)) for task_id, promise, whose in shown
    ]
    return LateTasks(told, len(found))


def _with_deals(connection: Connection, account_id: int, task_ids: Sequence[int]) -> dict[int, Row[Any]]:
    deal = and_(deals.c.account == tasks.c.account, deals.c.deal_id == tasks.c.entity_id, tasks.c.entity_type == "deal")
    query = select(tasks, deals.c.record).join_from(tasks, deals, deal, isouter=True)
    found: dict[int, Row[Any]] = {}
    for some in chunks(task_ids):
        mine = (tasks.c.account == account_id, tasks.c.task_id.in_(some))
        found |= {row.task_id: row for row in connection.execute(query.where(*mine))}
    return found


def _late_task(promise: Promise, row: Row[Any] | None, person: str, moves: Moves) -> LateTask:
    if row is None:
        return LateTask(promise, person, None, None, "", moves)
    card = (row.entity_type, row.entity_id) if row.entity_type and row.entity_id else None
    return LateTask(promise, person, row.text, card, json.loads(row.record)["name"] if row.record else "", moves)
