"""Overdue tasks counted: by table, and against tasks in a store of each kind."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import insert
from support.task_mirror import keep_tasks

from amo_bridge.events import TaskAdded, TaskCompleted, TaskDeleted, TaskReported, TaskUpdated
from amo_bridge.mirror.tasks import record_task_events
from amo_bridge.reports.overdue import (
    Moves,
    Promise,
    Report,
    Span,
    TaskState,
    Way,
    counted,
    is_counted,
    late_by_day,
    late_tasks,
    moves_of,
    overdue,
)
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import tasks

DAY = 86_400.0
MONDAY, TUESDAY, WEDNESDAY = (Span(date(2026, 11, 23 + n), n * DAY, (n + 1) * DAY) for n in range(3))
SPANS = (MONDAY, TUESDAY, WEDNESDAY)
NOON = DAY / 2
IVAN, ELENA = 1, 2


@pytest.mark.parametrize(
    ("due", "done", "standing", "missed"),
    [
        (NOON, None, [1, 1, 1], [1, 0, 0]),
        (NOON, NOON - 1, [0, 0, 0], [0, 0, 0]),
        (NOON, NOON, [0, 0, 0], [0, 0, 0]),
        (NOON, NOON + 60, [0, 0, 0], [1, 0, 0]),
        (NOON, DAY + NOON, [1, 0, 0], [1, 0, 0]),
        (DAY - 1, DAY, [1, 0, 0], [1, 0, 0]),
        (DAY, None, [0, 1, 1], [0, 1, 0]),
        (-NOON, None, [1, 1, 1], [0, 0, 0]),
        (3 * DAY, None, [0, 0, 0], [0, 0, 0]),
    ],
    ids=[
        "never done", "done in time", "done at the last moment", "done late the same day", "done the next day",
        "due a second before midnight", "due at midnight", "due before the report", "due after the report",
    ],
)  # fmt: skip
def test_one_promise(due: float, done: float | None, standing: list[int], missed: list[int]) -> None:
    for way, figures in (("standing", standing), ("missed", missed)):
        assert [int(is_counted(Promise(IVAN, due, done), span, way)) for span in SPANS] == figures  # type: ignore[arg-type]


def test_people_with_the_most_come_first_and_strangers_go_by_their_number() -> None:
    promises = [
        Promise(IVAN, NOON, None),
        Promise(77, NOON, None),
        Promise(77, DAY + NOON, None),
        Promise(ELENA, NOON, 1.0),
    ]
    report = counted(promises, SPANS, {IVAN: "Иван", ELENA: "Елена"}, "standing")
    assert dict(report.rows) == {"№ 77": (1, 2, 2), "Иван": (1, 1, 1)}
    assert list(report.rows) == ["№ 77", "Иван"]
    assert report.totals == (2, 3, 3)
    assert report.tasks == {"№ 77": 2, "Иван": 1}, "each task once, however many days it stood overdue"


def test_nobody_is_late() -> None:
    assert Report((date(2026, 11, 23),), {}).totals == (0,)


@pytest.mark.parametrize("way", ["standing", "missed"])
def test_from_the_store(store: Store, way: Way) -> None:
    kept = [
        (1, IVAN, NOON, False, None, 0.0),
        (2, IVAN, NOON, True, DAY + NOON, DAY + NOON),
        (3, IVAN, NOON, True, None, DAY + NOON),
        (4, ELENA, NOON, True, NOON - 5, NOON),
        (5, ELENA, 9 * DAY, False, None, 0.0),
        (6, ELENA, -9 * DAY, True, -DAY, -DAY),
    ]
    rows = [
        {"account": account, "task_id": task, "responsible_user_id": who, "due_at": due, "is_completed": done,
         "completed_at": at, "updated_at": changed, "created_by": 1, "task_type_id": 1, "text": "",
         "created_at": 0.0}
        for account in (1, 2) for task, who, due, done, at, changed in kept
        if account == 1 or task == 1
    ]  # fmt: skip
    with store.write() as connection:
        keep_tasks(connection, rows)
    report = overdue(AccountStore(store, 1), SPANS, {IVAN: "Иван", ELENA: "Елена"}, way)
    assert dict(report.rows) == {"Иван": (3, 1, 1) if way == "standing" else (3, 0, 0)}


def open_since(since: float, due: float, person: int = IVAN) -> TaskState:
    return TaskState(since, person, due, True)


def done_since(since: float, due: float) -> TaskState:
    return TaskState(since, IVAN, due, False)


@pytest.mark.parametrize(
    ("states", "standing", "missed", "moves"),
    [
        ([open_since(0, NOON), open_since(DAY + NOON, 9 * DAY)], [1, 0, 0], [1, 0, 0], (1, 8.5)),
        ([open_since(0, NOON), open_since(NOON - 60, 2 * DAY + NOON)], [0, 0, 1], [0, 0, 1], (1, 2)),
        ([open_since(0, NOON), open_since(NOON, DAY + NOON)], [0, 1, 1], [0, 1, 0], (1, 1)),
        ([open_since(0, NOON), open_since(DAY, DAY + NOON)], [1, 1, 1], [1, 1, 0], (1, 1)),
        ([open_since(0, 9 * DAY), open_since(DAY + 60, NOON)], [0, 1, 1], [0, 1, 0], (1, -8.5)),
        ([open_since(DAY + NOON, NOON)], [0, 1, 1], [0, 1, 0], (0, 0)),
        ([open_since(0, NOON), done_since(DAY + 60, NOON)], [1, 0, 0], [1, 0, 0], (0, 0)),
        ([open_since(0, NOON), done_since(60, NOON), open_since(DAY + 60, NOON)], [0, 1, 1], [0, 1, 0], (0, 0)),
        ([open_since(0, NOON), done_since(DAY, NOON), open_since(2 * DAY, NOON)], [1, 0, 1], [1, 0, 0], (0, 0)),
        ([open_since(0, NOON), done_since(60, NOON), done_since(120, DAY)], [0, 0, 0], [0, 0, 0], (0, 0)),
        ([open_since(-9 * DAY, -DAY), open_since(-60, 9 * DAY)], [0, 0, 0], [0, 0, 0], (0, 0)),
    ],
    ids=[
        "moved when overdue", "moved in time, overdue later", "moved at the last moment", "moved and late again",
        "moved into the past", "made when its deadline was past", "done late", "opened again", "opened after late",
        "moved when done", "moved before the report",
    ],
)  # fmt: skip
def test_each_day_goes_by_what_was_so_then(
    states: list[TaskState], standing: list[int], missed: list[int], moves: tuple[int, float]
) -> None:
    promise = Promise(IVAN, states[-1].due_at, None, tuple(states))
    assert [int(is_counted(promise, span, "standing")) for span in SPANS] == standing
    assert [int(is_counted(promise, span, "missed")) for span in SPANS] == missed
    assert moves_of(promise, SPANS) == Moves(moves[0], moves[1] * DAY)


def test_a_task_handed_over_stays_with_whose_it_was_on_the_days_before() -> None:
    handed = Promise(ELENA, NOON, None, (open_since(0, NOON), open_since(DAY + 60, NOON, ELENA)))
    report = counted([handed], SPANS, {IVAN: "Иван", ELENA: "Елена"}, "standing")
    assert dict(report.rows) == {"Елена": (0, 1, 1), "Иван": (1, 0, 0)}
    assert report.task_count == 1, "one task, though two people had it"
    assert dict(counted([handed], SPANS, {IVAN: "Иван"}, "missed").rows) == {"Иван": (1, 0, 0)}


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def hear(store: Store, *told: TaskReported) -> None:
    for event in told:
        with store.write() as connection:
            record_task_events(connection, 1, [event])


ADDED = TaskAdded(
    at=at(60), created_at=at(60), task_id=5, entity_type="deal", entity_id=7, responsible_user_id=IVAN, due=at(NOON),
    text="Позвонить",
)  # fmt: skip
MOVED = TaskUpdated(at=at(DAY + 60), task_id=5, due=at(9 * DAY))
MOVED_BACK = TaskUpdated(at=at(DAY + 90), task_id=5, due=at(DAY + 99))


@pytest.mark.parametrize(
    ("told", "standing", "moves"),
    [
        ([ADDED], (1, 1, 1), Moves()),
        ([ADDED, MOVED], (1, 0, 0), Moves(1, 8.5 * DAY)),
        ([ADDED, MOVED, MOVED], (1, 0, 0), Moves(1, 8.5 * DAY)),
        ([ADDED, TaskUpdated(at=at(DAY + 60), task_id=5, text="Написать")], (1, 1, 1), Moves()),
        ([ADDED, TaskCompleted(at=at(DAY + 60), task_id=5)], (1, 0, 0), Moves()),
        ([ADDED, TaskDeleted(at=at(DAY + 60), task_id=5)], (1, 0, 0), Moves()),
        ([ADDED, MOVED, MOVED_BACK], (1, 1, 1), Moves(2, DAY + 99 - NOON)),
    ],
    ids=["made", "moved", "told twice", "renamed", "done", "deleted", "moved to and fro"],
)  # fmt: skip
def test_the_mirror_keeps_what_the_report_needs(
    store: Store, told: list[TaskReported], standing: tuple[int, ...], moves: Moves
) -> None:
    hear(store, *told)
    report = overdue(AccountStore(store, 1), SPANS, {IVAN: "Иван"}, "standing")
    assert (dict(report.rows), report.moves["Иван"], report.known_from) == ({"Иван": standing}, moves, None)
    assert report.tasks == {"Иван": 1}
    (late,) = late_tasks(AccountStore(store, 1), SPANS, {IVAN: "Иван"}, "standing", "Иван").tasks
    assert late.promise.is_deleted == isinstance(told[-1], TaskDeleted)
    assert overdue(AccountStore(store, 2), SPANS, {}, "standing").rows == {}, "another account's"


def test_a_task_met_later_than_it_was_made_goes_by_the_deadline_that_it_had_then(store: Store) -> None:
    row = {
        "account": 1, "task_id": 5, "responsible_user_id": IVAN, "due_at": NOON, "is_completed": False,
        "updated_at": DAY + 60, "created_by": 1, "task_type_id": 1, "text": "", "created_at": 0.0 - 9 * DAY,
    }  # fmt: skip
    with store.write() as connection:
        keep_tasks(connection, [row])
    report = overdue(AccountStore(store, 1), SPANS, {IVAN: "Иван"}, "standing")
    assert (report.rows["Иван"], report.known_from) == ((1, 1, 1), date(2026, 11, 24))
    hear(store, TaskUpdated(at=at(2 * DAY + 60), task_id=5, due=at(9 * DAY)))
    report = overdue(AccountStore(store, 1), SPANS, {IVAN: "Иван"}, "standing")
    assert (report.rows["Иван"], report.known_from) == ((1, 1, 0), date(2026, 11, 24))
    assert report.moves["Иван"] == Moves(1, 8.5 * DAY)


def test_late_tasks_are_counted_by_day_and_person(store: Store) -> None:
    mine = AccountStore(store, 1)
    row = {
        "account": 1, "responsible_user_id": IVAN, "created_by": 0, "task_type_id": 1, "text": "",
        "is_completed": False, "created_at": 0.0, "updated_at": 0.0,
    }  # fmt: skip
    due = [(350.0, IVAN), (250.0, IVAN), (10.0, IVAN), (250.0, IVAN + 1), (500.0, IVAN)]
    rows = [
        {**row, "task_id": number, "due_at": at, "responsible_user_id": person}
        for number, (at, person) in enumerate(due)
    ]
    with mine.write() as connection:
        connection.execute(insert(tasks), [*rows, {**row, "task_id": 9, "due_at": 10.0, "is_completed": True}])
    assert late_by_day(mine, 200.0, 300.0, 400.0) == ((1, 2, 1), {IVAN: 3, IVAN + 1: 1})
    assert late_by_day(AccountStore(store, 2), 200.0, 300.0, 400.0) == ((0, 0, 0), {})
