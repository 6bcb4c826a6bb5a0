from datetime import date

import pytest
from support.builders import deal, entered, field_changed, task

from amo_bridge.dates.due import Due
from amo_bridge.rules.actions import ChangeTask, CreateTask, FinishTask, Skip
from handlers.date_field_sets_task import DateFieldSetsTask, date_field_sets_task

READY = "Продажи / Бриф получен"
FIELD = "Дата дедлайна"
FILLED = {FIELD: date(2026, 12, 31)}
DUE = Due.of_field(FIELD)


def options(**changed):
    facts = {"fields": [FIELD], "stages": [READY], "text": "Проверить бриф и составить КП", "to": "pr"}
    return DateFieldSetsTask.model_validate(facts | changed)


@pytest.mark.parametrize("event", [field_changed(FIELD), entered(READY)], ids=["дата заполнена", "пришла с датой"])
def test_a_task_is_set_for_that_day(event):
    assert date_field_sets_task(event, deal(READY, fields=FILLED), options()) == [
        CreateTask(deal_id=7, text="Проверить бриф и составить КП", to="pr", due=DUE, slot=FIELD)
    ]


def test_a_changed_date_moves_the_open_task_and_sets_no_second_one():
    now = deal(READY, fields=FILLED, own_tasks=(task(FIELD),))
    assert date_field_sets_task(field_changed(FIELD), now, options()) == [ChangeTask(deal_id=7, task_id=55, due=DUE)]


def test_a_finished_task_is_not_reopened_a_new_date_sets_a_new_one():
    now = deal(READY, fields=FILLED, own_tasks=(task(FIELD, is_completed=True),))
    (action,) = date_field_sets_task(field_changed(FIELD), now, options())
    assert isinstance(action, CreateTask)


def test_an_emptied_date_closes_the_open_task_unless_told_to_keep_it():
    now = deal(READY, own_tasks=(task(FIELD),))
    (action,) = date_field_sets_task(field_changed(FIELD, None), now, options())
    assert isinstance(action, FinishTask)
    assert FIELD in action.result
    assert isinstance(date_field_sets_task(field_changed(FIELD, None), now, options(when_emptied="keep")), Skip)


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(field_changed("Бюджет"), deal(READY, fields=FILLED), {}, "не это поле", id="другое поле"),
        pytest.param(field_changed(FIELD), deal(fields=FILLED), {}, "не ставит задачу", id="другой этап"),
        pytest.param(entered(READY), deal(READY), {}, "не заполнена", id="дата пуста"),
        pytest.param(entered(READY), deal(READY, fields=FILLED), {"stages": []}, "не привязано", id="этапы не важны"),
        pytest.param(
            field_changed(FIELD), deal(READY, fields=FILLED), {"when": {"tag": "срочно"}}, "условие", id="условие"
        ),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    said = date_field_sets_task(event, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_each_of_several_dates_has_its_own_task():
    rule = options(fields=["Дата оплаты 1", "Дата оплаты 2"], stages=[], text="Уточнить статус оплаты", to="manager")
    now = deal(
        fields={"Дата оплаты 1": date(2026, 12, 1), "Дата оплаты 2": date(2026, 12, 15)},
        own_tasks=(task("Дата оплаты 1"),),
    )
    (action,) = date_field_sets_task(field_changed("Дата оплаты 2"), now, rule)
    assert (action.slot, str(action.due)) == ("Дата оплаты 2", str(Due.of_field("Дата оплаты 2")))
    assert action.text == "Уточнить статус оплаты («Дата оплаты 2»)", "it says which payment"


REPORT = "Подготовить и загрузить отчет"
OTHERS = {"text": None, "to": None, "moves": [REPORT]}


def test_the_tasks_of_other_rules_get_the_date():
    theirs = (task("a", text=f"{REPORT} по проекту"), task("b", id=56, text="Прочее", set_as=REPORT), task("c", id=57))
    now = deal(READY, fields=FILLED, open_tasks=theirs)
    assert date_field_sets_task(field_changed(FIELD), now, options(**OTHERS)) == [
        ChangeTask(deal_id=7, task_id=number, due=DUE) for number in (55, 56)
    ]


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (deal(READY, fields=FILLED, open_tasks=(task("c", id=57),)), "таких открытых задач нет"),
        (deal(READY, open_tasks=(task("a", text=REPORT),)), "не заполнена"),
    ],
)
def test_no_task_of_other_rules_is_there_to_move(now, reason):
    said = date_field_sets_task(field_changed(FIELD), now, options(**OTHERS))
    assert isinstance(said, Skip)
    assert reason in said.reason


@pytest.mark.parametrize("changed", [{"moves": [REPORT]}, {"to": None}, {"text": None, "to": None}])
def test_either_a_task_of_its_own_or_those_of_others(changed):
    with pytest.raises(ValueError, match="нужна либо своя задача"):
        options(**changed)


def test_the_due_time_may_be_shifted_and_a_bad_shift_is_refused_at_once():
    (action,) = date_field_sets_task(field_changed(FIELD), deal(READY, fields=FILLED), options(due_shift="- 5 d"))
    assert action.due == Due.of_field(FIELD, "- 5 d")
    with pytest.raises(ValueError, match="позавчера"):
        options(due_shift="позавчера")
