"""C13: whoever puts a deadline off says why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOON, deal, task

from amo_bridge.events import NoteAdded, TaskRescheduled
from amo_bridge.rules.actions import CreateTask, FinishTask, Notify, Skip
from amo_bridge.rules.deal import Note
from handlers.moved_deadline_needs_reason import MovedDeadlineNeedsReason, moved_deadline_needs_reason

STAGE = "Продажи / Бриф получен"
IVAN = 101
LATER = NOON + timedelta(days=2)
ASKED = task(slot=f"9.{LATER:%Y%m%d%H%M}", id=77, responsible_user_id=IVAN)
WHY = Note(id=3, text="Клиент просил перенести", at=NOON + timedelta(minutes=1), user_id=IVAN)


def moved(**changed: Any) -> TaskRescheduled:
    facts = {"at": NOON, "deal_id": 7, "task_id": 9, "text": "Отправить отчёт", "user_id": IVAN, "old": NOON}
    return TaskRescheduled(**(facts | {"new": LATER} | changed))


def written(text: str = "Клиент просил перенести", **changed: Any) -> NoteAdded:
    facts = {"at": NOON, "note_id": 2, "entity_type": "deal", "entity_id": 7, "note_type": 4, "user_id": IVAN}
    return NoteAdded(text=text, **(facts | changed))


def judged(event: Any, own: tuple[Any, ...] = (), notes: tuple[Note, ...] = (), **changed: Any) -> Any:
    told = {"ask": "Напишите, почему перенесён срок"} | changed
    seen = deal(STAGE, own_tasks=own, notes=notes)
    return moved_deadline_needs_reason(event, seen, MovedDeadlineNeedsReason.model_validate(told))


def test_whoever_moved_it_is_asked_and_the_head_is_told() -> None:
    asked, told = judged(moved(), also={"notify": {"to": "head", "text": "Срок перенесён без причины"}})
    assert isinstance(asked, CreateTask)
    assert (asked.text, asked.to) == ("Напишите, почему перенесён срок: «Отправить отчёт»", IVAN)
    assert isinstance(told, Notify)


def test_his_note_answers() -> None:
    assert judged(written(), (ASKED,)) == [FinishTask(deal_id=7, task_id=77, result="Причина записана")]


@pytest.mark.parametrize(
    ("event", "changed", "why"),
    [
        pytest.param(moved(new=NOON - timedelta(days=1)), {}, "раньше", id="срок стал раньше"),
        pytest.param(moved(), {"tasks": ["Провести встречу"]}, "двигать можно", id="другая задача"),
        pytest.param(moved(), {"stages": ["Продажи / Отложенные"]}, "двигать можно", id="другой этап"),
        pytest.param(moved(user_id=None), {}, "неизвестно, кто", id="неизвестно кто"),
        pytest.param(moved(user_is=("head",)), {"may": ["head"]}, "можно", id="руководитель"),
        pytest.param(moved(), {"notes": (WHY,)}, "уже записана", id="причина есть"),
        pytest.param(moved(), {"own": (ASKED,)}, "уже спросили", id="уже спросили"),
        pytest.param(moved(task_id=77), {"own": (ASKED,)}, "самого правила", id="двигают сам вопрос"),
        pytest.param(written(), {}, "не спрашивали", id="не спрашивали"),
        pytest.param(written(user_id=202), {"own": (ASKED,)}, "не спрашивали", id="пишет другой"),
        pytest.param(written("ок"), {"own": (ASKED,)}, "слишком короткое", id="коротко"),
        pytest.param(written(user_id=None), {"own": (ASKED,)}, "не примечание человека", id="робот"),
        pytest.param(written(note_type=25), {"own": (ASKED,)}, "не примечание человека", id="служебное"),
    ],
)
def test_nothing_to_do(event: Any, changed: dict[str, Any], why: str) -> None:
    said = judged(event, **changed)
    assert isinstance(said, Skip)
    assert why in said.reason


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(Note(id=3, text="ок", at=NOON, user_id=IVAN), id="слишком коротко"),
        pytest.param(Note(id=3, text="Клиент просил перенести", at=NOON, user_id=202), id="другой человек"),
        pytest.param(Note(id=3, text="Клиент доволен всем", at=NOON - timedelta(hours=2), user_id=IVAN), id="давно"),
    ],
)
def test_what_is_no_reason(note: Note) -> None:
    assert isinstance(judged(moved(), notes=(note,)), list)
