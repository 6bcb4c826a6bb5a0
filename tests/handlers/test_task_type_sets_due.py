import pytest
from support.builders import NOON, deal, task

from amo_bridge.dates.due import Due
from amo_bridge.events import TaskAdded
from amo_bridge.rules.actions import ChangeTask, Skip
from handlers.task_type_sets_due import TaskTypeSetsDue, task_type_sets_due

STARTED = "Реализация / Исполнение"
SET = TaskAdded(at=NOON, task_id=55, entity_type="deal", entity_id=7, text="Сменить пост")
DUES = {"Правка: пост": "48 hours", "Правка: мелочи": "4 working hours"}


def options(**changed):
    return TaskTypeSetsDue.model_validate({"due_by_type": DUES, "stages": [STARTED]} | changed)


def asked_for(kind="Правка: пост", stage=STARTED, **changed):
    return deal(stage, open_tasks=(task(text="Сменить пост", slot="", task_type=kind, **changed),))


@pytest.mark.parametrize(("kind", "due"), DUES.items())
def test_the_type_says_when_it_is_due(kind, due):
    said = task_type_sets_due(SET, asked_for(kind.lower()), options())
    assert said == ChangeTask(deal_id=7, task_id=55, due=Due.parse(due))


@pytest.mark.parametrize(
    ("now", "changed", "reason"),
    [
        pytest.param(asked_for("Встреча"), {}, "другой тип", id="другой тип"),
        pytest.param(asked_for(None), {}, "другой тип", id="обычная задача"),
        pytest.param(asked_for(made_by="stage_ladder.one"), {}, "поставило правило", id="задача правила"),
        pytest.param(asked_for(id=56), {}, "уже закрыта", id="успели закрыть"),
        pytest.param(asked_for(stage="Реализация / Тайминг"), {}, "не назначается", id="другой этап"),
        pytest.param(asked_for(), {"when": {"tag": "vip"}}, "не выполнено условие", id="условие"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(now, changed, reason):
    said = task_type_sets_due(SET, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason
