from datetime import timedelta

import pytest
from support.builders import NOON, deal, finished, stayed, task

from amo_bridge.rules.actions import CreateTask, MoveDeal, SetFields, Skip
from amo_bridge.rules.deal import AttachedFile
from handlers.last_task_brings_next_step import LastTaskBringsNextStep, last_task_brings_next_step

TIMING = "Реализация / Тайминг"
DOING = "Реализация / Исполнение"
CONTENT = "Реализация / Подготовка контента"
CLOSING = "Получить закрывающие документы"
REPORT = {"named": 'Отчет по проекту "{Название}"'}


def done(text="Согласовать тайминг: Бузова", hours_ago=1.0, **changed):
    made = NOON - timedelta(hours=hours_ago)
    return task(text=text, slot="", is_completed=True, created_at=made, **changed)


DONE = done()


def on(stage=TIMING, *, still_open=(), finished_tasks=(DONE,), files=(), **changed):
    facts = {"open_tasks": still_open, "finished_tasks": finished_tasks, "files": files}
    return deal(stage, **({"stays": stayed((stage, -24))} | facts | changed))


def said(now, event=None, **changed):
    rule = {"stages": [TIMING], "do": {"move_to": CONTENT}} | changed
    return last_task_brings_next_step(event or finished(), now, LastTaskBringsNextStep.model_validate(rule))


def test_the_last_task_moves_the_deal():
    assert said(on()) == [MoveDeal(deal_id=7, to=CONTENT)]


def test_the_last_closing_documents_tick_the_box_whatever_else_is_open():
    now = on(DOING, still_open=(task(text="Исполнить: Бузова"),), finished_tasks=(done(CLOSING),))
    found = said(
        now,
        finished(CLOSING),
        stages=[DOING],
        only=[CLOSING],
        do={"set_fields": {"Закрывающие документы получены": True}},
    )
    assert found == [SetFields(deal_id=7, values={"Закрывающие документы получены": True})]


@pytest.mark.parametrize(
    ("now", "changed", "reason"),
    [
        pytest.param(on(CONTENT), {}, "не из этого", id="другой этап"),
        pytest.param(on(still_open=(task(text="Ещё одна"),)), {}, "«Ещё одна»", id="есть открытая"),
        pytest.param(on(finished_tasks=()), {}, "не было", id="задач не было"),
        pytest.param(on(finished_tasks=(done(hours_ago=30),)), {}, "не было", id="задачи прошлого этапа"),
        pytest.param(on(finished_tasks=(done("Позвонить"),)), {"only": ["Связаться"]}, "не было", id="не те задачи"),
        pytest.param(on(), {"only": ["Согласовать"]}, "не считается", id="закрыта не та задача"),
        pytest.param(on(stays=()), {}, "ещё не рассмотрен", id="приход ещё не рассмотрен"),
        pytest.param(on(), {"when": {"tag": "vip"}}, "условие", id="условие"),
        pytest.param(on(), {"file": REPORT}, "нет файла", id="нет отчёта"),
        pytest.param(on(own_tasks=(task(),)), {"once": True}, "уже сделано", id="один раз"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(now, changed, reason):
    nothing = said(now, **changed)
    assert isinstance(nothing, Skip)
    assert reason in nothing.reason


def test_with_the_report_the_project_is_done():
    report = AttachedFile(name="Отчет по проекту «Ромашка».pdf")
    assert isinstance(said(on(files=(report,)), file=REPORT), list)


def test_tasks_that_do_not_count_hold_nothing_up():
    told = task(text="Невыполнение требований системы", slot="")
    explained = task(text="Сделка возвращена …", slot="rollback", made_by="stage_needs_fields.one")
    now = on(still_open=(told, explained))
    assert isinstance(said(now, not_counting=["Невыполнение требований"]), list)
    assert isinstance(said(now), Skip)


def test_tasks_may_be_what_comes_next():
    report = {"text": "Подготовить отчет", "to": "manager", "due": "3 d"}
    (action,) = said(on(), do={"task": report}, once=True)
    assert isinstance(action, CreateTask)
    assert action.text == "Подготовить отчет"


@pytest.mark.parametrize(("acted", "acts"), [(None, True), (-1, True), (0, False), (1, False)])
def test_of_tasks_finished_at_one_moment_one_event_is_enough(acted, acts):
    """The first one moved the deal and a gate put it back: the second does not move it again."""
    own_acts = () if acted is None else (NOON + timedelta(minutes=acted),)
    assert isinstance(said(on(own_acts=own_acts)), list) == acts
