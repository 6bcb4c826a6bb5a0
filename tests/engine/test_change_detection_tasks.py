"""What a word about a task turns out to be, compared with the task as it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from support.fakes import BRIEF, agency, at, record, rule_engine, user

from amo_bridge.crm.records import TaskRecord
from amo_bridge.engine.processor import CurrentTasks
from amo_bridge.events import (
    TaskAdded,
    TaskAnswered,
    TaskCompleted,
    TaskDeleted,
    TaskFinished,
    TaskObserved,
    TaskRemoved,
    TaskReported,
    TaskRescheduled,
    TaskUpdated,
)

HEAD, MANAGER = "Елена Орлова", "Мария Кузнецова"
DUE = at(3600)
FACTS: dict[str, Any] = {"task_id": 55, "entity_type": "deal", "entity_id": 7, "text": "Согласовать КП"}


def now(**changed: Any) -> TaskRecord:
    facts = {
        "id": 55,
        "text": "Согласовать КП",
        "entity_id": 7,
        "entity_type": "leads",
        "complete_till": DUE,
        "responsible_user_id": user(HEAD),
        "updated_by": user(HEAD),
        "updated_at": at(0),
    }
    return TaskRecord(**(facts | changed))


def observed(told: TaskReported, task: TaskRecord | None) -> list[TaskObserved]:
    return rule_engine().task_observer.changes(told, task, record(BRIEF))


def kinds(told: TaskReported, task: TaskRecord | None) -> list[type]:
    return [type(one) for one in observed(told, task)]


DONE = TaskCompleted(at=at(0), is_completed=True, **FACTS)
FINISHED = now(is_completed=True, result="Согласовано")


@pytest.mark.parametrize(
    ("told", "task", "becomes"),
    [
        pytest.param(DONE, FINISHED, [TaskFinished, TaskAnswered], id="finished with its result"),
        pytest.param(DONE, replace(FINISHED, result=None), [TaskFinished], id="the result is to come"),
        pytest.param(replace(DONE, user_id=0), FINISHED, [TaskFinished], id="the bridge finished it itself"),
        pytest.param(
            TaskUpdated(at=at(1), is_completed=True, result="Согласовано", **FACTS),
            FINISHED,
            [TaskAnswered],
            id="the result alone",
        ),
        pytest.param(TaskUpdated(at=at(1), **FACTS), FINISHED, [], id="another change of a finished task"),
        pytest.param(TaskAdded(at=at(0), **FACTS), now(), [], id="a new task"),
        pytest.param(DONE, None, [], id="it is gone"),
        pytest.param(TaskDeleted(due=DUE, is_completed=False, **FACTS), None, [TaskRemoved], id="an open one deleted"),
        pytest.param(TaskDeleted(due=DUE, is_completed=True, **FACTS), None, [], id="a finished one deleted"),
        pytest.param(TaskDeleted(**FACTS), None, [], id="one deleted that nobody knew"),
    ],
)  # fmt: skip
def test_what_it_turns_out_to_be(told: TaskReported, task: TaskRecord | None, becomes: list[type]) -> None:
    assert kinds(told, task) == becomes


LATER, LATEST = DUE + timedelta(days=1), DUE + timedelta(days=2)
MOVED = TaskUpdated(at=at(0), due=LATER, old_due=DUE, **FACTS)


@pytest.mark.parametrize(
    ("task", "goes_back"),
    [
        pytest.param(now(complete_till=LATER), True, id="it stands where it was moved"),
        pytest.param(now(complete_till=LATEST), True, id="somebody moved it once more"),
        pytest.param(now(complete_till=DUE), False, id="it is back already"),
        pytest.param(now(complete_till=LATEST, updated_by=-1), False, id="the bridge has put it elsewhere"),
        pytest.param(now(complete_till=LATER, is_completed=True), False, id="it is finished"),
    ],
)
def test_a_moved_due_time(task: TaskRecord, goes_back: bool) -> None:
    if task.updated_by == -1:
        task = replace(task, updated_by=agency().current_user_id)
    found = observed(MOVED, task)
    assert [type(one) for one in found] == [TaskRescheduled] * goes_back
    for one in found:
        assert isinstance(one, TaskRescheduled)
        assert (one.old, one.new) == (DUE, task.complete_till)


def test_who_did_it_is_told_by_the_task_itself_if_it_was_this_very_change() -> None:
    finished, _ = observed(DONE, FINISHED)
    assert (finished.user_id, finished.user_is[:2]) == (user(HEAD), (HEAD, "head"))
    later, _ = observed(DONE, replace(FINISHED, updated_at=at(60)))
    assert (later.user_id, later.user_is) == (None, ())


def test_an_answer_is_awaited_only_when_a_completion_came_without_one() -> None:
    awaited = rule_engine().task_observer.pending_answer
    bare = replace(FINISHED, result=None)
    assert isinstance(awaited(DONE, bare, record(BRIEF)), TaskAnswered)
    assert awaited(DONE, FINISHED, record(BRIEF)) is None
    assert awaited(replace(DONE, user_id=0), bare, record(BRIEF)) is None
    assert awaited(TaskUpdated(at=at(0), **FACTS), bare, record(BRIEF)) is None


def test_an_awaited_answer_is_what_the_task_says_by_then() -> None:
    settled = rule_engine().task_observer.answer_now
    answer = TaskAnswered(at=at(0), deal_id=7, task_id=55, text="Согласовать КП")
    assert settled(answer, FINISHED) == replace(answer, result="Согласовано")
    assert settled(answer, replace(FINISHED, result=None)) == answer
    assert settled(answer, now()) is None, "it was opened again"
    assert settled(answer, None) is None


class ListedCrm:
    """amoCRM's list of events: who changed the task's date within one second, the last first."""

    def get(self, path: str, params: object) -> dict[str, Any]:
        assert path == "/api/v4/events"
        rows = [(agency().current_user_id, DUE), (user(HEAD), LATEST), (user(MANAGER), LATER)]
        return {
            "_embedded": {
                "events": [
                    {
                        "type": "task_deadline_changed", "entity_type": "task", "entity_id": 55, "created_by": who,
                        "created_at": int(at(0).timestamp()),
                        "value_after": [{"task_deadline": {"timestamp": int(due.timestamp())}}],
                    }
                    for who, due in rows
                ]
            }
        }  # fmt: skip


@pytest.mark.parametrize(
    ("due", "doer"),
    [(LATER, MANAGER), (LATEST, HEAD), (DUE + timedelta(hours=1), None)],
    ids=["the first of them", "the second", "none of these: the last who did"],
)
def test_who_moved_a_date_is_told_by_the_date(due: datetime, doer: str | None) -> None:
    told = replace(MOVED, due=due)
    now = CurrentTasks(ListedCrm(), [told])  # type: ignore[arg-type]
    assert now.with_author(told).user_id == (user(doer) if doer else agency().current_user_id)
