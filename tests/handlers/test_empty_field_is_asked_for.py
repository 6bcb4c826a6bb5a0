from datetime import date

import pytest
from support.builders import answered, deal, entered, field_changed, task

from amo_bridge.rules.actions import CreateTask, FinishTask, Skip
from handlers.empty_field_is_asked_for import EmptyFieldIsAskedFor, empty_field_is_asked_for

OFFER = "Продажи / Согласование КП"
DECISION = "Дата принятия решения"
FILLED = {DECISION: date(2026, 12, 1)}
ASKED = task(slot=DECISION, text=f"Заполнить поле «{DECISION}»")
AFTER = {"after_task": "Согласовать КП", "after_answer": ["Согласовано"]}


def said(event, now=None, **changed):
    rule = {"fields": [DECISION], "stages": [OFFER]} | changed
    return empty_field_is_asked_for(event, now or deal(OFFER), EmptyFieldIsAskedFor.model_validate(rule))


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        pytest.param(entered(OFFER), {}, id="пришла на этап"),
        pytest.param(answered("Согласовано, ждём"), AFTER, id="ответ в задаче"),
        pytest.param(answered("что угодно"), {"after_task": "Согласовать КП"}, id="любой ответ"),
    ],
)
def test_the_field_is_asked_for(event, changed):
    (action,) = said(event, **changed)
    assert isinstance(action, CreateTask)
    assert (action.text, action.to, action.slot) == (f"Заполнить поле «{DECISION}»", "manager", DECISION)


def test_each_empty_field_has_a_task_of_its_own():
    found = said(entered(OFFER), deal(OFFER, own_tasks=(ASKED,)), fields=[DECISION, "Бюджет", "Источник"])
    assert [action.slot for action in found] == ["Бюджет", "Источник"]


def test_a_field_that_is_emptied_on_the_stage_is_asked_for_alone():
    (action,) = said(field_changed(DECISION, None), fields=[DECISION, "Бюджет"])
    assert (action.text, action.slot) == (f"Заполнить поле «{DECISION}»", DECISION)


def test_the_task_is_closed_when_the_field_is_filled():
    (action,) = said(field_changed(DECISION), deal(OFFER, fields=FILLED, own_tasks=(ASKED,)))
    assert action == FinishTask(deal_id=7, task_id=ASKED.id, result=f"«{DECISION}»: 01.12.2026")


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(entered(OFFER), deal(OFFER, fields=FILLED), {}, "заполнены", id="заполнено"),
        pytest.param(entered(OFFER), deal(OFFER, own_tasks=(ASKED,)), {}, "уже спросили", id="уже спросили"),
        pytest.param(entered(OFFER), deal("Продажи / Отложенные"), {}, "не из этого", id="другой этап"),
        pytest.param(entered(OFFER), deal(OFFER), {"when": {"tag": "vip"}}, "условие", id="условие"),
        pytest.param(entered(OFFER), deal(OFFER), AFTER, "не этапа", id="ждёт задачи"),
        pytest.param(answered("Согласовано"), deal(OFFER), {}, "ничего не спрашивает", id="ждёт этапа"),
        pytest.param(answered("Не согласовано"), deal(OFFER), AFTER, "ответ «Не согласовано»", id="другой ответ"),
        pytest.param(answered("Согласовано", "Звонок"), deal(OFFER), AFTER, "«Звонок»", id="другая задача"),
        pytest.param(field_changed("Бюджет"), deal(OFFER), {}, "не это поле", id="другое поле"),
        pytest.param(field_changed(DECISION, None), deal(OFFER, own_tasks=(ASKED,)), {}, "пусто", id="очищено"),
        pytest.param(field_changed(DECISION, None), deal(OFFER), AFTER, "после задачи", id="очищено, ждёт задачи"),
        pytest.param(
            field_changed(DECISION, None), deal("Продажи / Отложенные"), {}, "не из этого", id="очищено позже"
        ),
        pytest.param(field_changed(DECISION), deal(OFFER, fields=FILLED), {}, "не спрашивали", id="не спрашивали"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    nothing = said(event, now, **changed)
    assert isinstance(nothing, Skip)
    assert reason in nothing.reason
