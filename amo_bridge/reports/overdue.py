"""Overdue tasks: each person, each day (A120). Figures come from the bridge's copy of the tasks; amoCRM is not asked.

Two ways to count. *Standing*: how many tasks were overdue when the day ended (today: how many are now); a task that
stays overdue counts on each such day. *Missed*: how many tasks fell due on that day and were not done in time; a task
counts once, on the day of its deadline.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_, or_, select

from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import deals, tasks

Way = Literal["standing", "missed"]
WAYS: tuple[Way, ...] = ("standing", "missed")


@dataclass(frozen=True)
class Promise:
    """A task as far as punctuality goes. Moments are Unix seconds; ``done_at``: None while it is open."""

    person: int
    due_at: float
    done_at: float | None


@dataclass(frozen=True)
class Span:
    """A day: ``end`` is the next midnight, for today the present moment."""

    date: date
    begin: float
    end: float


@dataclass(frozen=True)
class Report:
    """``rows``: name → a figure for each of the days; ``tasks``: name → how many tasks these are, each counted once
    however many days it stood overdue. Most tasks first."""

    days: tuple[date, ...]
    rows: Mapping[str, tuple[int, ...]]
    tasks: Mapping[str, int] = field(default_factory=dict)

    @property
    def totals(self) -> tuple[int, ...]:
        """Of each day."""
        return tuple(sum(figures) for figures in zip(*self.rows.values(), strict=True)) or (0,) * len(self.days)


def overdue(store: Store, account_id: int, spans: Sequence[Span], names: Mapping[int, str], way: Way) -> Report:
    """``names``: of the account's people, by id; somebody unknown goes by his number. Raises StoreUnavailable."""
    return counted(_promises(store, account_id, spans), spans, names, way)


def knows_tasks(store: Store, account_id: int) -> bool:
    """Has the bridge met any task at all? Without, nobody's punctuality is known. Raises StoreUnavailable."""
    with store.read() as connection:
        return (
            connection.execute(select(tasks.c.task_id).where(tasks.c.account == account_id).limit(1)).first()
            is not None
        )


def counted(promises: Iterable[Promise], spans: Sequence[Span], names: Mapping[int, str], way: Way) -> Report:
    """Count the promises that were not kept. People who kept all of theirs are not in the report."""
    figures: dict[str, list[int]] = {}
    many: Counter[str] = Counter()
    for promise in promises:
        broken = [number for number, span in enumerate(spans) if is_counted(promise, span, way)]
        if broken:
            name = name_of(promise.person, names)
            many[name] += 1
            row = figures.setdefault(name, [0] * len(spans))
            for number in broken:
                row[number] += 1
    ordered = sorted(figures, key=lambda name: (-many[name], -sum(figures[name]), name))
    days = tuple(span.date for span in spans)
    return Report(days, {name: tuple(figures[name]) for name in ordered}, {name: many[name] for name in ordered})


def name_of(person: int, names: Mapping[int, str]) -> str:
    """As the report calls him."""
    return names.get(person, f"№ {person}")


def is_counted(promise: Promise, span: Span, way: Way) -> bool:
    """Does the promise count as broken on this day?"""
    if way == "standing":
        return promise.due_at < span.end and (promise.done_at is None or promise.done_at >= span.end)
    fell_due = span.begin <= promise.due_at < span.end
    return fell_due and (promise.done_at is None or promise.done_at > promise.due_at)


def due_in(account_id: int, spans: Sequence[Span]) -> tuple[ColumnElement[bool], ...]:
    """Tasks that were due before the last day's end, and not finished before the first day began."""
    unfinished = or_(
        tasks.c.is_completed.is_(False), tasks.c.completed_at >= spans[0].begin, tasks.c.completed_at.is_(None)
    )
    return tasks.c.account == account_id, tasks.c.due_at < spans[-1].end, unfinished


def promise_of(row: Any) -> Promise:
    """What the task's row says of punctuality."""
    # When a task was finished is not always told; it was not later than its last change.
    done_at = (row.completed_at or row.updated_at) if row.is_completed else None
    return Promise(row.responsible_user_id, row.due_at, done_at)


def _promises(store: Store, account_id: int, spans: Sequence[Span]) -> list[Promise]:
    query = select(
        tasks.c.responsible_user_id, tasks.c.due_at, tasks.c.is_completed, tasks.c.completed_at, tasks.c.updated_at
    ).where(*due_in(account_id, spans))
    with store.read() as connection:
        return [promise_of(row) for row in connection.execute(query)]


# Which tasks stand behind a figure of the report of overdue tasks.


@dataclass(frozen=True)
class LateTask:
    """``card``: deal, contact … and its id, where the task is; None for a task on nobody's card. ``deal_name``: empty
    if it is on no deal, or on one that the mirror does not know."""

    promise: Promise
    person: str
    text: str
    card: tuple[str, int] | None
    deal_name: str


def late_tasks(
    store: Store, account_id: int, spans: Sequence[Span], names: Mapping[int, str], way: Way, person: str = ""
) -> list[LateTask]:
    """The tasks that count on one of these days at least, the longest overdue first. ``person``: only his, as the
    report calls him. Raises StoreUnavailable."""
    deal = and_(deals.c.account == tasks.c.account, deals.c.deal_id == tasks.c.entity_id, tasks.c.entity_type == "deal")
    query = (
        select(tasks, deals.c.record)
        .join_from(tasks, deals, deal, isouter=True)
        .where(*due_in(account_id, spans))
        .order_by(tasks.c.due_at, tasks.c.task_id)
    )
    with store.read() as connection:
        found = [_late_task(row, names) for row in connection.execute(query)]
    return [
        one
        for one in found
        if (not person or one.person == person) and any(is_counted(one.promise, span, way) for span in spans)
    ]


def _late_task(row: Row[Any], names: Mapping[int, str]) -> LateTask:
    return LateTask(
        promise=promise_of(row),
        person=name_of(row.responsible_user_id, names),
        text=row.text,
        card=(row.entity_type, row.entity_id) if row.entity_type and row.entity_id else None,
        deal_name=json.loads(row.record)["name"] if row.record else "",
    )
