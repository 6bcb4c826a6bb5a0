"""C10: the account manager hears of an optimisation task that production has set on his client."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.builders import NOON, deal, task

from amo_bridge.crm.account import User
from amo_bridge.events import TaskAdded
from amo_bridge.rules.actions import Notify, Skip
from handlers.new_task_notifies import NewTaskNotifies, new_task_notifies

STAGE = "Реализация / Исполнение"
MANAGER, SPECIALIST = 22, 44
SET = TaskAdded(at=NOON, task_id=55, entity_type="deal", entity_id=7, text="Оптимизация ставок")


def judged(now: Any = None, **options: Any) -> Any:
    rule = {
        "counts": {"only": ["Оптимизация"]},
        "notify": {"to": "manager", "text": "{Название}: задача"},
        "stages": [STAGE],
    }
    return new_task_notifies(SET, now or with_task(), NewTaskNotifies.model_validate(rule | options))


def with_task(stage: str = STAGE, text: str = "Оптимизация ставок", by: int = SPECIALIST, **changed: Any) -> Any:
    found = deal(stage, open_tasks=(task(text=text, slot="", created_by=by, **changed),))
    return replace(found, responsible=User(MANAGER, "Антон"))


def test_the_manager_is_told_with_the_tasks_text() -> None:
    text = "Ромашка: задача. Задача: «Оптимизация ставок»"
    assert judged() == Notify(deal_id=7, to=("manager",), text=text)


@pytest.mark.parametrize(
    ("now", "options", "reason"),
    [
        (with_task(by=MANAGER), {}, "сам ответственный"),
        (with_task(made_by="task_frequency.optimisation"), {}, "поставило правило"),
        (with_task(text="Позвонить"), {}, "не из тех"),
        (with_task(id=56), {}, "уже закрыта"),
        (with_task(stage="Реализация / Тайминг"), {}, "не говорится"),
        (with_task(), {"when": {"tag": "vip"}}, "не выполнено условие"),
    ],
    ids=["his own", "a rule's", "another task", "finished", "another stage", "condition"],
)
def test_nothing_is_said(now: Any, options: dict[str, Any], reason: str) -> None:
    said = judged(now, **options)
    assert isinstance(said, Skip)
    assert reason in said.reason
