"""W5: a deal that waits has a task, and not too far off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOON, deal, entered, task

from amo_bridge.dates.due import Due
from amo_bridge.events import TaskAdded
from amo_bridge.rules.actions import ChangeTask, CreateTask, FinishTask, Notify, Skip
from handlers.stage_needs_task import StageNeedsTask, stage_needs_task

THINKS = "Вебинары / Думает (поговорили)"


def options(**changed: Any) -> StageNeedsTask:
    told = {"stages": [THINKS], "task": {"text": "Связаться", "to": "manager", "due": "1 working day"}}
    return StageNeedsTask.model_validate(told | changed)


def far(days: float, **changed: Any) -> Any:
    return task(slot="", due=NOON + timedelta(days=days), **changed)


OWN = task(slot="needed", made_by="stage_needs_task.thinking", is_own=True)


def judged(*tasks: Any, on: str = THINKS, event: Any = None, **changed: Any) -> Any:
    return stage_needs_task(event or entered(THINKS), deal(on, open_tasks=tasks), options(**changed))


def test_without_a_task_one_is_set_and_the_manager_is_told() -> None:
    (made,) = judged()
    (notice,) = made.then
    assert isinstance(made, CreateTask)
    assert (made.text, made.to, made.slot) == ("Связаться", "manager", "needed")
    assert isinstance(notice, Notify)
    assert "нужна задача не позже" in notice.text


def test_a_far_task_comes_nearer_and_it_is_told() -> None:
    (moved,) = judged(far(8))
    (notice,) = moved.then
    assert replace(moved, then=()) == ChangeTask(deal_id=7, task_id=55, due=Due.parse("7 d"))
    assert "срок перенесён" in notice.text


def test_a_far_task_that_comes_nearer_closes_the_rule_s() -> None:
    _, closed = judged(far(8), OWN)
    assert isinstance(closed, FinishTask)


def test_a_far_task_is_only_told_of_if_the_agency_wants_that() -> None:
    (notice,) = judged(far(8), move_far_tasks=False)
    assert isinstance(notice, Notify)


def test_the_manager_s_own_task_closes_the_rule_s() -> None:
    event = TaskAdded(at=NOON, task_id=55, entity_type="deal", entity_id=7)
    assert judged(far(2), OWN, event=event) == [
        FinishTask(deal_id=7, task_id=55, result="Менеджер поставил свою задачу")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tasks", "changed", "why"),
    [
        ((far(7),), {}, "задача есть, и она близко"),
        ((far(30), far(1)), {}, "задача есть, и она близко"),
        ((OWN,), {}, "задача правила ещё открыта"),
        ((), {"on": "Продажи / Новый клиент"}, "не обязательна"),
        ((), {"when": {"tag": "важный"}}, "не выполнено условие"),
    ],
)
def test_nothing_to_do(tasks: tuple[Any, ...], changed: dict[str, Any], why: str) -> None:
    said = judged(*tasks, **changed)
    assert isinstance(said, Skip)
    assert why in said.reason
