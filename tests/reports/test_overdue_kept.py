"""What the report of overdue tasks reads is enough: it says the same as all histories of all tasks, read whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from math import inf
from random import Random
from typing import Any

import pytest
from sqlalchemy import Row, select, text, update

from amo_bridge.events import TaskAdded, TaskCompleted, TaskDeleted, TaskReported, TaskUpdated
from amo_bridge.mirror.tasks import MirroredTask, TaskRows, record_task_events
from amo_bridge.reports.overdue import (
    WAYS,
    Promise,
    Span,
    TaskState,
    broken_on,
    counted,
    late_tasks,
    overdue,
)
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import task_history, tasks

ACCOUNT, TASKS, DAYS, DAY = 1, 90, 12, 86_400
BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
NAMES = {1: "Иван", 2: "Елена"}
KEPT = (task_history.c.id, task_history.c.created_at, task_history.c.late_until, task_history.c.assumed_until)


def moment(random: Random) -> datetime:
    """Some of them are a midnight, or the same one as another's."""
    if random.random() < 0.2:
        return BEGIN + timedelta(days=random.randrange(DAYS))
    return BEGIN + timedelta(hours=random.randrange(DAYS * 24))


def life(random: Random, number: int) -> Iterator[TaskReported | MirroredTask]:
    """What is told of a task, mostly in the order in which it happened; some are met by a read, and late."""
    made, person = moment(random), random.choice((1, 2, 3))
    due = random.choice((made, made + timedelta(hours=random.randrange(72)), moment(random)))
    added = TaskAdded(at=made, created_at=made, task_id=number, responsible_user_id=person, due=due, text="?")
    later = sorted(made + timedelta(minutes=random.choice((1, 60, 600, 3000)) * step) for step in range(1, 6))
    told: list[TaskReported] = [added]
    for at in later[: random.randrange(6)]:
        told.append(
            random.choice(
                (
                    TaskUpdated(at=at, task_id=number, due=random.choice((at, moment(random)))),
                    TaskUpdated(at=at, task_id=number, responsible_user_id=random.choice((1, 2, 3))),
                    TaskUpdated(at=at, task_id=number, is_completed=False),
                    TaskUpdated(at=at, task_id=number, text=str(at)),
                    TaskCompleted(at=random.choice((at, due, due + timedelta(seconds=1))), task_id=number),
                    TaskCompleted(at=at, task_id=number),
                    TaskDeleted(at=at, task_id=number),
                )
            )
        )
    if random.random() < 0.2:
        # The word that it was added, or another one, is overtaken.
        random.shuffle(told)
    if random.random() < 0.2:
        is_done, at = random.random() < 0.5, max(made, moment(random))
        done_at = at if is_done and random.random() < 0.7 else None
        met = MirroredTask(id=number, responsible_user_id=person, due=due, created_at=made, updated_at=at)
        yield replace(met, is_completed=is_done, completed_at=done_at)
    yield from told


def lived(store: Store, seed: int) -> None:
    random = Random(seed)
    lives = [list(life(random, number)) for number in range(1, TASKS + 1)]
    while any(lives):
        said = random.choice([one for one in lives if one]).pop(0)
        with store.write() as connection:
            if isinstance(said, MirroredTask):
                TaskRows(ACCOUNT).put(connection, [said])
            else:
                record_task_events(connection, ACCOUNT, [said])
            if random.random() < 0.02:
                # Retention forgets what is finished; a task may be met again.
                gone = tasks.delete().where(tasks.c.is_completed.is_(True), tasks.c.task_id % 7 == random.randrange(7))
                connection.execute(gone)


def whole(store: Store) -> tuple[dict[int, Promise], float]:
    """All tasks by all of their states; and until when some state is an assumption."""
    with store.read() as connection:
        made = {row.task_id: row.created_at for row in connection.execute(select(tasks))}
        histories: dict[int, list[Row[Any]]] = {}
        for row in connection.execute(select(task_history).order_by(task_history.c.id)):
            histories.setdefault(row.task_id, []).append(row)
    promises, assumed = {}, -inf
    for number, rows in histories.items():
        created = max(made.get(number, 0.0), *(row.created_at for row in rows)) or -inf
        known = [TaskState(row.since, row.responsible_user_id, row.due_at, row.state == "open") for row in rows]
        first = TaskState(created, known[0].person, known[0].due_at, True)
        states = (first, *(known[1:] if known[0].is_open else known))
        done_at = None if rows[-1].state == "open" else rows[-1].since
        last = known[-1]
        promises[number] = Promise(last.person, last.due_at, done_at, states, rows[-1].state == "deleted")
        if known[0].since - created > 120:
            assumed = max(assumed, known[0].since)
    return promises, assumed


def windows(random: Random) -> Iterator[list[Span]]:
    """A day, a week and more; the last day may go on."""
    for days in (1, 3, 7, 14):
        for _ in range(4):
            first, cut = BEGIN + timedelta(days=random.randrange(-3, DAYS)), random.choice((0, 0, 7 * 3600))
            yield [
                Span((first + timedelta(days=n)).date(), (begun := first.timestamp() + n * DAY),
                     begun + DAY - (cut if n == days - 1 else 0))
                for n in range(days)
            ]  # fmt: skip


def known_from(spans: list[Span], assumed: float) -> date | None:
    if assumed >= spans[-1].end:
        return spans[-1].date + timedelta(days=1)
    return next((span.date for span in spans if span.begin <= assumed < span.end), None)


@pytest.mark.parametrize("seed", range(3))
def test_reports_of_any_days_are_those_of_all_histories_read_whole(store: Store, seed: int) -> None:
    lived(store, seed)
    promises, assumed = whole(store)
    mine, figures = AccountStore(store, ACCOUNT), 0
    for spans in windows(Random(seed)):
        for way in WAYS:
            found, expected = overdue(mine, spans, NAMES, way), counted(promises.values(), spans, NAMES, way)
            assert (found.rows, found.tasks, found.moves) == (expected.rows, expected.tasks, expected.moves)
            assert list(found.rows) == list(expected.rows)
            assert found.known_from == known_from(spans, assumed)
            for person in ("", "Иван"):
                late = [one.promise for one in late_tasks(mine, spans, NAMES, way, person).tasks]
                there = [
                    promise
                    for promise in promises.values()
                    if (people := broken_on(promise, spans, way).values()) and (not person or 1 in people)
                ]
                assert sorted(late, key=repr) == sorted(there, key=repr)
            figures += sum(found.totals)
    assert figures > 100


@pytest.mark.parametrize("seed", range(3))
def test_what_a_state_says_of_being_late_is_what_an_old_store_is_brought_to(store: Store, seed: int) -> None:
    lived(store, seed)
    with store.write() as connection:
        kept = connection.execute(select(*KEPT).order_by(task_history.c.id)).all()
        connection.execute(update(task_history).values(late_until=None, assumed_until=None))
        for step in import_module("amo_bridge.storage.migrations.versions.r0060_late_tasks").STEPS:
            connection.execute(text(f"UPDATE task_history SET {step}"))
        filled = connection.execute(select(*KEPT).order_by(task_history.c.id)).all()
    assert filled == kept
    assert len([row for row in kept if row.late_until]) > TASKS / 4
