"""W7, W10: nothing is left to do on a closed deal."""

from __future__ import annotations

from typing import Any

import pytest
from support.builders import deal, entered, task

from amo_bridge.rules.actions import FinishTask, Skip
from handlers.closed_deal_closes_tasks import ClosedDealClosesTasks, closed_deal_closes_tasks

WON, LOST = "Вебинары / Успешно реализовано", "Вебинары / Закрыто и не реализовано"
THINKS = "Вебинары / Думает (поговорили)"
CALL = task(id=1, text="Перезвонить клиенту", made_by="missed_call_moves_deal.not_reached")
GIST = task(id=2, text="Записать в примечание суть разговора", made_by="talk_asks_for_note.gist")
PERSONS = task(id=3, text="Перезвонить клиенту осенью", slot="")
EXPLAINS = task(id=4, text="Сделка возвращена …", slot="rollback:4.143", made_by="stage_needs_fields.loss_reason")


def judged(*tasks: Any, on: str = WON, came_to: str = "", **changed: Any) -> Any:
    options = ClosedDealClosesTasks.model_validate({"pipelines": ["Вебинары"]} | changed)
    return closed_deal_closes_tasks(entered(came_to or on), deal(on, open_tasks=tasks), options)


def numbers(said: Any) -> list[int]:
    return [action.task_id for action in said if isinstance(action, FinishTask)]


@pytest.mark.parametrize("stage", [WON, LOST])
def test_its_own_tasks_are_closed_and_peoples_are_not(stage: str) -> None:
    assert numbers(judged(CALL, GIST, PERSONS, on=stage)) == [1, 2]


def test_what_explains_a_roll_back_is_left_to_the_gate_that_set_it() -> None:
    assert numbers(judged(CALL, EXPLAINS)) == [1]


@pytest.mark.parametrize(
    ("changed", "closed"),
    [({"not_counting": ["Записать"]}, [1]), ({"only": ["Записать"]}, [2])],
)
def test_which_tasks_is_a_choice(changed: dict[str, Any], closed: list[int]) -> None:
    assert numbers(judged(CALL, GIST, **changed)) == closed


def test_what_is_closed_says_why() -> None:
    (action,) = judged(CALL)
    assert action.result == "Сделка закрыта: «Успешно реализовано»"


@pytest.mark.parametrize(
    ("tasks", "how", "why"),
    [
        ((CALL,), {"on": THINKS}, "сделка не закрыта"),
        ((CALL,), {"on": THINKS, "came_to": WON}, "сделка не закрыта"),
        ((CALL,), {"pipelines": ["Продажи"]}, "воронка «Вебинары» не из этого правила"),
        ((PERSONS,), {}, "открытых задач моста на сделке нет"),
    ],
)
def test_nothing_to_do(tasks: tuple[Any, ...], how: dict[str, Any], why: str) -> None:
    assert judged(*tasks, **how) == Skip(why)
