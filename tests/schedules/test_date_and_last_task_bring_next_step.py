from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError
from support.builders import NOON, deal, finished, stayed, step_due, task, times

from amo_bridge.rules.actions import CreateTask, Skip
from amo_bridge.rules.handler import MARK
from schedules.date_and_last_task_bring_next_step import (
    DateAndLastTaskBringNextStep,
    date_and_last_task_bring_next_step,
)

DOING, CONTENT = "Реализация / Исполнение", "Реализация / Подготовка контента"
DEADLINE = date(2026, 12, 1)
QUARTER_PAST_TEN = datetime(2026, 12, 1, 7, 15, tzinfo=UTC)
TODAY = NOON.date()
OPEN = task(text="Исполнить: Бузова", slot="")
plan = getattr(date_and_last_task_bring_next_step, MARK).steps


def options(**changed):
    report = {"text": "Подготовить отчет", "to": "manager", "due": "3 d"}
    facts = {"field": "Дедлайн проекта", "stages": [DOING], "do": {"task": report}}
    return DateAndLastTaskBringNextStep.model_validate(facts | changed)


def project(on=DOING, deadline=TODAY, **changed):
    facts = {"stays": stayed((on, -24)), "fields": {"Дедлайн проекта": deadline}, "open_tasks": (), "own_tasks": ()}
    return deal(on, **(facts | changed))


def came(anchor="23.11.2026"):
    return step_due("дата наступила", anchor)


# --- when the clock asks ------------------------------------------------------------------------------------------


def test_on_the_day_itself_after_its_tasks_have_been_set():
    (step,) = plan(project(deadline=DEADLINE), options(), times())
    assert (step.due, step.anchor) == (QUARTER_PAST_TEN, "01.12.2026")


def test_a_deal_that_comes_later_is_asked_about_when_the_stages_tasks_are_set():
    late = project(deadline=DEADLINE, stays=stayed((DOING, 24 * 30)))
    (step,) = plan(late, options(), times())
    assert step.due == NOON + timedelta(days=30, minutes=15)


@pytest.mark.parametrize(
    ("now", "when"),
    [
        pytest.param(project(on=CONTENT, deadline=DEADLINE), times(), id="другой этап"),
        pytest.param(project(deadline=None), times(), id="даты нет"),
        pytest.param(project(deadline=DEADLINE), times(since=24 * 60), id="дата прошла до включения правила"),
    ],
)
def test_nothing_is_planned(now, when):
    assert list(plan(now, options(), when)) == []


# --- what is done, whichever comes last ---------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("event", [pytest.param(came(), id="дата"), pytest.param(finished(), id="задача")])


@BOTH
def test_the_date_has_come_and_nothing_is_open(event):
    (action,) = date_and_last_task_bring_next_step(event, project(), options())
    assert isinstance(action, CreateTask)
    assert action.text == "Подготовить отчет"


@BOTH
@pytest.mark.parametrize(
    ("now", "changed", "reason"),
    [
        pytest.param(project(on=CONTENT), {}, "не из этого", id="другой этап"),
        pytest.param(project(stays=()), {}, "ещё не рассмотрен", id="приход ещё не рассмотрен"),
        pytest.param(project(deadline=date(2026, 11, 24)), {}, "не наступила", id="дата завтра"),
        pytest.param(project(deadline=None), {}, "не наступила", id="даты нет"),
        pytest.param(project(), {"when": {"tag": "vip"}}, "условие", id="условие"),
        pytest.param(project(open_tasks=(OPEN,)), {}, "«Исполнить: Бузова»", id="есть открытая"),
        pytest.param(project(own_tasks=(task(is_completed=True),)), {}, "уже сделано", id="уже сделано"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    said = date_and_last_task_bring_next_step(event, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_a_task_finished_before_the_hour_of_the_date_asks_nothing():
    later = project(deadline=NOON + timedelta(hours=1))
    assert isinstance(date_and_last_task_bring_next_step(finished(), later, options()), Skip)


def test_tasks_that_do_not_count_hold_nothing_up():
    told = task(text="Невыполнение требований системы", slot="")
    now = project(open_tasks=(told,))
    assert isinstance(date_and_last_task_bring_next_step(came(), now, options(not_counting=["Невыполнение"])), list)
    assert isinstance(date_and_last_task_bring_next_step(came(), now, options(only=["Невыполнение"])), Skip)


def test_an_hour_without_sense_is_refused():
    with pytest.raises(ValidationError):
        options(at="в обед")
