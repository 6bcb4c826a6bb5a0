import pytest
from support.builders import deal, entered, task

from amo_bridge.dates.due import Due
from amo_bridge.rules.actions import CreateTask, Skip
from handlers.stage_creates_tasks import StageCreatesTasks, stage_creates_tasks

NEW = "Продажи / Новый клиент"
OFFER = "Продажи / Согласование КП"


def options(**changed):
    facts = {
        "stages": [NEW],
        "tasks": [{"text": "Связаться и взять в работу", "to": "manager", "due": "1 working hour"}],
    }
    return StageCreatesTasks.model_validate(facts | changed)


def test_the_task_is_set_when_the_deal_enters_the_stage():
    assert stage_creates_tasks(entered(NEW, None), deal(NEW), options()) == [
        CreateTask(
            deal_id=7,
            text="Связаться и взять в работу",
            to="manager",
            due=Due.parse("1 working hour"),
            slot="0",
        )
    ]


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(entered(OFFER), deal(OFFER), {}, "не из этого правила", id="другой этап"),
        pytest.param(entered(NEW), deal(OFFER), {}, "уже ушла", id="сделка уже ушла"),
        pytest.param(
            entered(NEW, OFFER), deal(NEW), {"from_stages": ["Продажи / Отложенные"]}, "с другого этапа", id="не оттуда"
        ),
        pytest.param(
            entered(NEW), deal(NEW), {"when": {"field": "Тип оплаты", "is": "Предоплата"}}, "условие", id="условие"
        ),
        pytest.param(entered(NEW), deal(NEW, own_tasks=(task("0"),)), {}, "ещё открыты", id="задача уже стоит"),
        pytest.param(
            entered(NEW),
            deal(NEW),
            {"tasks": [{"text": "х", "to": "pr", "due": "1 d", "when": {"tag": "срочно"}}]},
            "не выполнено условие задачи",
            id="ни одна задача не подходит",
        ),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    said = stage_creates_tasks(event, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_a_finished_task_does_not_stand_in_the_way_of_a_new_one():
    now = deal(NEW, own_tasks=(task("0", is_completed=True),))
    assert len(stage_creates_tasks(entered(NEW), now, options())) == 1


def test_only_the_missing_one_of_several_tasks_is_set():
    tasks = [{"text": text, "to": "manager", "due": "1 d"} for text in ("Первая", "Вторая")]
    now = deal(NEW, own_tasks=(task("0"),))
    assert [action.text for action in stage_creates_tasks(entered(NEW), now, options(tasks=tasks))] == ["Вторая"]


def test_each_task_may_have_its_own_condition_and_the_text_takes_values_from_the_deal():
    tasks = [
        {"text": "Скрипт 1 для {Название}", "to": "manager", "due": "1 d", "when": {"field": "Услуга", "is": "SMM"}},
        {"text": "Скрипт 2", "to": "manager", "due": "1 d", "when": {"field": "Услуга", "is_not": "smm"}},
    ]
    said = stage_creates_tasks(entered(NEW), deal(NEW, fields={"Услуга": "smm"}), options(tasks=tasks))
    assert [action.text for action in said] == ["Скрипт 1 для Ромашка"]


def test_a_bare_stage_name_and_another_letter_case_are_understood():
    assert isinstance(stage_creates_tasks(entered(NEW), deal(NEW), options(stages=["новый  клиент"])), list)


def test_lost_in_another_pipeline_is_another_stage():
    lost = "Реализация / Закрыто и не реализовано"
    said = stage_creates_tasks(entered(lost), deal(lost), options(stages=["Продажи / Закрыто и не реализовано"]))
    assert isinstance(said, Skip)
