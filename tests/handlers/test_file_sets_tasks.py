import pytest
from support.builders import deal, file_attached, task

from amo_bridge.rules.actions import CreateTask, Skip
from handlers.file_sets_tasks import FileSetsTasks, file_sets_tasks

PROJECT = "Продажи / Утвержденный проект"
SEND = "Отправить клиенту договор и согласовать"


def options(**changed):
    rule = {
        "name_starts_with": ["Договор", "Счет"],
        "stages": [PROJECT],
        "tasks": [{"text": SEND, "to": "manager", "due": "1 d"}],
    }
    return FileSetsTasks.model_validate(rule | changed)


def at_project(**changed):
    return deal(PROJECT, **({"open_tasks": (), "own_tasks": ()} | changed))


def set_before(name, **changed):
    """The task that this file set when it came first."""
    (made,) = file_sets_tasks(file_attached(name), at_project(), options())
    return task(slot=made.slot, text=made.text, **changed)


@pytest.mark.parametrize("name", ["Договор с ООО «Ромашка».pdf", "счёт 15.xlsx", "DOGOVOR_romashka.pdf", "Schet-5.pdf"])
def test_the_file_sets_the_task(name):
    (action,) = file_sets_tasks(file_attached(name), at_project(), options())
    assert isinstance(action, CreateTask)
    assert (action.text, action.to) == (SEND, "manager")


@pytest.mark.parametrize(
    ("name", "now", "changed", "reason"),
    [
        pytest.param("Бриф.pdf", at_project(), {}, "назван не так", id="другой файл"),
        pytest.param(
            "Договор подписан.pdf", at_project(), {"but_not": ["Договор … подписан"]}, "из тех", id="подписан"
        ),
        pytest.param("Договор.pdf", deal("Продажи / Отложенные"), {}, "не ждёт", id="другой этап"),
        pytest.param("Договор.pdf", at_project(), {"when": {"tag": "vip"}}, "условие", id="условие"),
        pytest.param("Договор.pdf", at_project(open_tasks=(task(text=SEND),)), {}, "открыта", id="задача открыта"),
        pytest.param(
            "ДОГОВОР (1).pdf",
            at_project(own_tasks=(set_before("Договор.docx", is_completed=True),)),
            {},
            "уже был",
            id="новая версия того же файла",
        ),
        pytest.param(
            "Договор.pdf",
            at_project(),
            {"tasks": [{"text": SEND, "to": "manager", "due": "1 d", "when": {"tag": "vip"}}]},
            "не выполнено условие задачи",
            id="задачи не подходят",
        ),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(name, now, changed, reason):
    said = file_sets_tasks(file_attached(name), now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_another_file_after_the_first_task_is_done_sets_it_again():
    now = at_project(own_tasks=(set_before("Договор.pdf", is_completed=True),))
    assert isinstance(file_sets_tasks(file_attached("Счет.pdf"), now, options()), list)


def test_every_version_counts_if_the_rule_says_so():
    (first,) = file_sets_tasks(file_attached("Договор.pdf"), at_project(), options(every_version=True))
    now = at_project(own_tasks=(task(slot=first.slot, is_completed=True),))
    assert isinstance(file_sets_tasks(file_attached("Договор.pdf"), now, options(every_version=True)), Skip), (
        "same note"
    )
    again = file_sets_tasks(file_attached("Договор.pdf", note_id=2), now, options(every_version=True))
    assert isinstance(again, list)


def test_a_very_long_name_still_fits_the_mark():
    (action,) = file_sets_tasks(file_attached(f"Договор {'о' * 300}.pdf"), at_project(), options())
    assert len(action.slot) <= 120
