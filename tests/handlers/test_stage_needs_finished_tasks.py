import pytest
from support.builders import deal, entered, stage, task

from amo_bridge.rules.actions import Lack, RollBack, Skip
from handlers.stage_needs_finished_tasks import StageNeedsFinishedTasks, stage_needs_finished_tasks

TIMING = "Реализация / Тайминг"
CONTENT = "Реализация / Подготовка контента"
LOST = "Реализация / Закрыто и не реализовано"
OPEN = task(text="Согласовать тайминг: Бузова, Instagram, фото", slot="")


def options(**changed):
    return StageNeedsFinishedTasks.model_validate({"leaving": [TIMING]} | changed)


def moved(*open_tasks, to=CONTENT, **event):
    return entered(to, TIMING, **event), deal(to, open_tasks=open_tasks)


def test_the_deal_is_put_back_and_every_open_task_is_named():
    paper = task(text="Согласовать и подписать документы: Бузова", id=56, slot="")
    said = stage_needs_finished_tasks(*moved(OPEN, paper, user_id=42), options())
    assert isinstance(said, RollBack)
    assert (said.to, said.tell) == (stage(TIMING).key, 42)
    assert said.missing == (Lack("закройте задачи", OPEN.text), Lack("закройте задачи", paper.text))
    assert said.needs == f"закройте задачи: «{OPEN.text}», «{paper.text}»"


@pytest.mark.parametrize(
    ("situation", "changed", "reason"),
    [
        pytest.param(moved(), {}, "открытых задач нет", id="всё закрыто"),
        pytest.param(moved(OPEN, user_is=("Елена Орлова", "head")), {"may_pass": ["head"]}, "можно", id="руководитель"),
        pytest.param(moved(OPEN, to=LOST), {}, "не проверяет", id="проект потеряли"),
        pytest.param(moved(OPEN), {"only": ["Получить закрывающие"]}, "открытых задач нет", id="не те задачи"),
        pytest.param(moved(OPEN), {"not_counting": ["согласовать  ТАЙМИНГ"]}, "открытых задач нет", id="не считаются"),
        pytest.param(
            moved(task(text="Сделка возвращена на этап …", slot="rollback", made_by="stage_needs_fields.one")),
            {},
            "открытых задач нет",
            id="объяснение возврата",
        ),
        pytest.param(
            (entered(CONTENT, TIMING), deal(TIMING, open_tasks=(OPEN,))), {}, "уже ушла", id="уже вернули"
        ),
        pytest.param(
            (entered(CONTENT, "Реализация / Исполнение"), deal(CONTENT, open_tasks=(OPEN,))),
            {},
            "не проверяет",
            id="с другого этапа",
        ),
    ],
)  # fmt: skip
def test_nothing_is_done_and_the_reason_is_told(situation, changed, reason):
    said = stage_needs_finished_tasks(*situation, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


FULFIL = {"text": "Прочее", "set_as": "Исполнить: Бузова", "made_by": "service_lines_set_tasks.fulfilment", "slot": "1"}


def test_what_a_rule_set_counts_under_any_name_and_what_a_person_set_under_none():
    rule, own = options(set_by_rules=True), task(text="Исполнить: Бузова", slot="")
    assert isinstance(stage_needs_finished_tasks(*moved(own), rule), Skip)
    said = stage_needs_finished_tasks(*moved(own, task(id=56, **FULFIL)), rule)
    assert said.missing == (Lack("закройте задачи", "Прочее"),)
    late = task(id=57, **{**FULFIL, "set_as": "Близится дата сдачи"})
    assert isinstance(
        stage_needs_finished_tasks(*moved(late), options(set_by_rules=True, not_counting=["Близится дата"])), Skip
    )


def test_a_task_that_a_person_named_like_an_explanation_counts():
    said = stage_needs_finished_tasks(*moved(task(text="Сделка возвращена …", slot="rollback")), options())
    assert isinstance(said, RollBack)


def test_a_rule_without_any_stage_is_refused():
    with pytest.raises(ValueError, match="entering"):
        StageNeedsFinishedTasks.model_validate({})
