from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError
from support.builders import NOON, deal, stayed, step_due, task, times

from amo_bridge.rules.actions import Skip
from amo_bridge.rules.deal import Contact
from amo_bridge.rules.handler import MARK
from amo_bridge.rules.service_lines import Blogger, ServicesSection
from schedules.date_sets_tasks_for_people import DateSetsTasksForPeople, date_sets_tasks_for_people

FULFILMENT, TIMING = "Реализация / Исполнение", "Реализация / Тайминг"
DEADLINE = date(2026, 12, 1)
TEN = datetime(2026, 12, 1, 7, 0, tzinfo=UTC)
PEOPLE = (
    Contact(id=11, name="Анна Соколова", fields={"Классификация": ("клиент",)}),
    Contact(id=12, name="Ольга Бузова", fields={"Классификация": ("блогер", "подрядчик")}),
    Contact(id=13, name="Олег Зайцев", fields={"Классификация": "подрядчик"}),
    Contact(id=14, name="Прохожий"),
)
BUZOVA = "Бузова Ольга:\n— Instagram: Пост"
plan = getattr(date_sets_tasks_for_people, MARK).steps


def options(**changed):
    facts = {
        "services": ServicesSection.model_validate(
            {"field": "Услуги", "classification": "Классификация", "platforms": {"Instagram": {}}}
        ),
        "field": "Дедлайн проекта",
        "stages": [FULFILMENT],
        "kinds": ["клиент", "подрядчик"],
        "task": {"text": "Получить закрывающие документы: {ФИО}", "to": "manager", "due": "3 d"},
    }
    return DateSetsTasksForPeople.model_validate(facts | changed)


def project(on=FULFILMENT, deadline=DEADLINE, **changed):
    fields = {"Услуги": BUZOVA, "Дедлайн проекта": deadline}
    facts = {"fields": {name: value for name, value in fields.items() if value}, "contacts": PEOPLE}
    return deal(on, **{"stays": stayed((on, 0)), **facts, **changed})


def due(anchor="01.12.2026"):
    return step_due("дата наступила", anchor)


# --- when --------------------------------------------------------------------------------------------------------


def test_the_day_has_come_at_ten_in_the_morning():
    (step,) = plan(project(), options(), times())
    assert (step.due, step.anchor) == (TEN, "01.12.2026")


def test_a_deal_that_comes_after_the_date_is_dealt_with_when_it_comes():
    late = project(stays=stayed((FULFILMENT, 24 * 30)))
    (step,) = plan(late, options(), times())
    assert step.due == NOON + timedelta(days=30)


@pytest.mark.parametrize(
    ("now", "when"),
    [
        pytest.param(project(on=TIMING), times(), id="другой этап"),
        pytest.param(project(deadline=None), times(), id="даты нет"),
        pytest.param(project(), times(since=24 * 60), id="дата прошла до включения правила"),
    ],
)
def test_nothing_is_planned(now, when):
    assert list(plan(now, options(), when)) == []


# --- what --------------------------------------------------------------------------------------------------------


def test_everybody_gets_a_task_once():
    said = date_sets_tasks_for_people(due(), project(), options())
    assert [one.text for one in said] == [
        "Получить закрывающие документы: Бузова Ольга",
        "Получить закрывающие документы: Анна Соколова",
        "Получить закрывающие документы: Олег Зайцев",
    ]
    assert len({one.slot for one in said}) == 3


def test_whoever_had_his_task_does_not_get_it_again():
    had = (task(Blogger("Бузова Ольга").mark, is_completed=True), task("contact11"))
    said = date_sets_tasks_for_people(due(), project(own_tasks=had), options())
    assert [one.text for one in said] == ["Получить закрывающие документы: Олег Зайцев"]


@pytest.mark.parametrize(
    ("now", "changed", "reason"),
    [
        pytest.param(project(on=TIMING), {}, "не действует", id="ушла с этапа"),
        pytest.param(project(deadline=date(2026, 12, 9)), {}, "дата уже другая", id="дата сменилась"),
        pytest.param(project(), {"when": {"tag": "документы"}}, "не выполнено условие", id="условие"),
        pytest.param(project(contacts=(), fields={"Дедлайн проекта": DEADLINE}), {}, "нет ни блогеров", id="никого"),
        pytest.param(
            project(contacts=PEOPLE[:1], own_tasks=(task("contact11"),)),
            {"bloggers": False},
            "уже ставились",
            id="были",
        ),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(now, changed, reason):
    said = date_sets_tasks_for_people(due(), now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


@pytest.mark.parametrize("changed", [{"bloggers": False, "kinds": []}, {"at": "в обед"}])
def test_a_rule_without_sense_is_refused(changed):
    with pytest.raises(ValidationError):
        options(**changed)
