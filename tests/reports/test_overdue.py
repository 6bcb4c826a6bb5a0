"""Overdue tasks counted: by table, and against tasks in a store of each kind."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import insert

from amo_bridge.reports.overdue import Promise, Report, Span, Way, counted, is_counted, overdue
from amo_bridge.storage.database import Store
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
        connection.execute(insert(tasks), rows)
    report = overdue(store, 1, SPANS, {IVAN: "Иван", ELENA: "Елена"}, way)
    assert dict(report.rows) == {"Иван": (3, 1, 1) if way == "standing" else (3, 0, 0)}
