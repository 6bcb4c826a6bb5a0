from datetime import timedelta

import pytest
from support.builders import IVAN, NOON, answered, deal, finished

from amo_bridge.dates.due import Due
from amo_bridge.events import TaskRemoved, TaskRenamed, TaskRescheduled
from amo_bridge.rules.actions import ChangeTask, CreateTask, Notify, Skip, Withheld
from amo_bridge.rules.deal import AttachedFile
from handlers.protected_task_is_restored import ProtectedTaskIsRestored, protected_task_is_restored

DOING = "Реализация / Исполнение"
REPORT = "Подготовить и загрузить отчет по проекту"
HEAD = ("Елена Орлова", "head")
TOLD = {"escalate": {"text": "Невыполнение требований системы", "to": "head"}}
FACTS = {"at": NOON, "deal_id": 7, "task_id": 55, "text": REPORT, "responsible_user_id": IVAN.id}


def options(**changed):
    rule = {
        "tasks": [REPORT],
        "stages": [DOING],
        "may": ["head"],
        "file": {"named": 'Отчет по проекту "{Название}"'},
        "without_file": TOLD,
    }
    return ProtectedTaskIsRestored.model_validate(rule | changed)


def moved(**changed):
    return TaskRescheduled(**(FACTS | {"old": NOON, "new": NOON + timedelta(days=5)} | changed))


def removed(**changed):
    return TaskRemoved(**(FACTS | {"due": NOON, "task_type": "Документы"} | changed))


def renamed(text="Прочее", **changed):
    return TaskRenamed(**(FACTS | {"text": text, "set_as": REPORT} | changed))


def on(*files, stage=DOING):
    return deal(stage, files=tuple(AttachedFile(name=name) for name in files))


def test_a_moved_date_goes_back():
    said = protected_task_is_restored(moved(user_id=42), on(), options())
    assert said == [ChangeTask(deal_id=7, task_id=55, due=Due.exactly(NOON))]


def test_a_deleted_task_is_set_again_as_it_was():
    (action,) = protected_task_is_restored(removed(), on(), options())
    assert isinstance(action, CreateTask)
    assert (action.text, action.to, action.due) == (REPORT, IVAN.id, Due.exactly(NOON))
    assert action.task_type == "Документы"


def test_a_renamed_task_gets_its_name_back():
    said = protected_task_is_restored(renamed(user_id=42), on(), options())
    assert said == [ChangeTask(deal_id=7, task_id=55, text=REPORT)]


@pytest.mark.parametrize(
    "event",
    [
        moved(text="Прочее", set_as=REPORT),
        removed(text="Прочее", set_as=REPORT),
        finished("Прочее", set_as=REPORT),
    ],
    ids=["moved", "removed", "finished without the file"],
)
def test_by_another_name_it_is_as_protected(event):
    said = protected_task_is_restored(event, on(), options())
    first = (said.actions if isinstance(said, Withheld) else said)[0]
    assert isinstance(first, ChangeTask) or first.text == REPORT


def test_finished_without_the_file_it_is_set_again_and_the_head_is_told():
    withheld = protected_task_is_restored(finished(REPORT, responsible_user_id=IVAN.id), on("Отчет.pdf"), options())
    again, told, notice = withheld.actions
    assert (again.text, again.to) == (REPORT, IVAN.id)
    assert (told.text, told.to) == ("Невыполнение требований системы", "head")
    assert isinstance(notice, Notify)
    assert again.slot != told.slot


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(moved(user_is=HEAD), on(), {}, "можно", id="руководитель сдвинул"),
        pytest.param(removed(user_is=HEAD), on(), {}, "можно", id="руководитель удалил"),
        pytest.param(renamed(user_is=HEAD), on(), {}, "можно", id="руководитель переименовал"),
        pytest.param(renamed(f"{REPORT}, ждём фото"), on(), {}, "как надо", id="дописали"),
        pytest.param(renamed(set_as="Позвонить"), on(), {}, "не защищена", id="переименовали другую"),
        pytest.param(
            finished(REPORT, by_bridge=True), on(), {}, "закрыл мост", id="её закрыл мост"
        ),
        pytest.param(moved(text="Позвонить"), on(), {}, "не защищена", id="другая задача"),
        pytest.param(moved(), on(stage="Реализация / Тайминг"), {}, "не защищена", id="другой этап"),
        pytest.param(
            finished(REPORT), on("Отчет по проекту Ромашка.pdf"), {}, "как надо", id="закрыта с отчётом"
        ),
        pytest.param(finished(REPORT), on(), {"file": None}, "как надо", id="файл не нужен"),
    ],
)  # fmt: skip
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    said = protected_task_is_restored(event, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_a_task_of_nobody_is_set_again_for_the_manager():
    (action,) = protected_task_is_restored(removed(responsible_user_id=0), on(), options())
    assert action.to == "manager"


def test_what_was_finished_without_its_file_and_its_answer_count_for_no_rule():
    answer = answered("готово", REPORT)
    assert isinstance(protected_task_is_restored(finished(REPORT), on(), options()), Withheld)
    assert isinstance(protected_task_is_restored(answer, on(), options()), Withheld)
    assert isinstance(protected_task_is_restored(answer, on("Отчет по проекту Ромашка.pdf"), options()), Skip)
