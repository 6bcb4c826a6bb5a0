"""C1: a deal gets another manager: a checklist for him, the old one's tasks, and a word to the old one."""

from __future__ import annotations

from typing import Any

import pytest
from support.builders import IVAN, NOON, deal, finished, task

from amo_bridge.crm.account import User
from amo_bridge.events import ResponsibleChanged
from amo_bridge.rules.actions import AddNote, ChangeTask, CreateTask, Notify, Skip
from handlers.deal_is_handed_over import CHECKLIST, DealIsHandedOver, deal_is_handed_over

OLGA = User(id=2, name="Ольга Волкова", email="", is_active=True, is_admin=False)
STAGE = "Продажи / Бриф получен"


def options(**changed: Any) -> DealIsHandedOver:
    task = {"text": "Принять клиента по списку: продукт, бюджеты", "to": "manager", "due": "2 working days"}
    return DealIsHandedOver.model_validate({"task": task, "stages": [STAGE], "not_by": ["head"]} | changed)


def changed(**facts: Any) -> ResponsibleChanged:
    told: dict[str, Any] = {
        "at": NOON, "deal_id": 7, "old": IVAN.id, "new": OLGA.id, "user_id": IVAN.id, "user_is": (IVAN.name, "manager")
    }  # fmt: skip
    return ResponsibleChanged(**(told | facts))


def judged(event: Any, on: str = STAGE, **facts: Any) -> Any:
    told = {"responsible": OLGA, "own_tasks": (), "open_tasks": ()} | facts
    return deal_is_handed_over(event, deal(on, **told), options())


def test_the_new_one_gets_the_checklist_and_the_old_one_is_told() -> None:
    checklist, told = judged(changed())
    assert isinstance(checklist, CreateTask)
    assert (checklist.to, checklist.slot) == ("manager", CHECKLIST)
    assert isinstance(told, Notify)
    assert (told.to, told.text) == (
        (IVAN.id,),
        "Ромашка: клиента ведёт Ольга Волкова, ваши открытые задачи по нему перешли туда же",
    )


def test_the_old_ones_open_tasks_become_the_new_ones() -> None:
    tasks = (
        task("", id=1),
        task("", id=2, responsible_user_id=77),
        task("rollback:1.2", id=3, made_by="stage_needs_fields.brief"),
    )
    said = judged(changed(), open_tasks=tasks)
    assert [(act.task_id, act.to) for act in said if isinstance(act, ChangeTask)] == [(1, OLGA.id)]


def test_handed_on_at_once_the_checklist_goes_along() -> None:
    own = task(CHECKLIST, id=9)
    said = judged(changed(), own_tasks=(own,), open_tasks=(own,))
    assert [type(act) for act in said] == [ChangeTask, Notify]


@pytest.mark.parametrize(
    ("event", "facts", "why"),
    [
        (changed(user_is=("Елена Орлова", "head")), {}, "без чек-листа"),
        (changed(old=None), {}, "никто не отвечал"),
        (changed(), {"responsible": IVAN}, "уже другой"),
        (changed(), {"on": "Продажи / Отложенные"}, "не оформляется"),
        (finished("Позвонить"), {}, "не чек-лист"),
        (finished(user_id=OLGA.id), {"own_tasks": (task(CHECKLIST, is_completed=True),)}, "новый менеджер"),
        (finished(user_id=None), {"own_tasks": (task(CHECKLIST, is_completed=True),)}, "новый менеджер"),
        (finished(user_id=IVAN.id, by_bridge=True), {"own_tasks": (task(CHECKLIST),)}, "не чек-лист"),
        (
            finished(user_id=IVAN.id),
            {"own_tasks": (task(CHECKLIST, is_completed=True), task(CHECKLIST, id=56))},
            "уже поставлен",
        ),
    ],
)
def test_nothing_to_do(event: Any, facts: dict[str, Any], why: str) -> None:
    said = judged(event, **facts)
    assert isinstance(said, Skip)
    assert why in said.reason


def test_finished_by_somebody_else_it_is_set_again() -> None:
    (again,) = judged(finished(user_id=IVAN.id), own_tasks=(task(CHECKLIST, is_completed=True),))
    assert (again.slot, again.to) == (CHECKLIST, "manager")
    assert isinstance(again.then[0], AddNote)
    assert "Ольга Волкова" in again.then[0].text
