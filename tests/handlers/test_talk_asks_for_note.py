"""W11: after a talk its gist is written down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOON, deal, task

from amo_bridge.events import CallLogged, NoteAdded
from amo_bridge.rules.actions import CreateTask, FinishTask, Skip
from amo_bridge.rules.deal import Call, Note
from handlers.talk_asks_for_note import TalkAsksForNote, talk_asks_for_note

STAGE = "Вебинары / Был на вебинаре более часа"


def talk(**changed: Any) -> CallLogged:
    facts = {"at": NOON, "note_id": 1, "entity_type": "deal", "entity_id": 7, "direction": "out", "seconds": 95}
    return CallLogged(**(facts | changed))


def written(text: str = "Думает до четверга", **changed: Any) -> NoteAdded:
    facts = {"at": NOON, "note_id": 2, "entity_type": "deal", "entity_id": 7, "note_type": 4, "user_id": 101}
    return NoteAdded(text=text, **(facts | changed))


def noted(**changed: Any) -> Call:
    """The call as all of its notes tell it."""
    return Call(**({"id": 1, "direction": "out", "at": NOON, "note_ids": (1, 4)} | changed))


def judged(
    event: Any, tasks: tuple[Any, ...] = (), notes: tuple[Note, ...] = (), calls: tuple[Call, ...] = (), **changed: Any
) -> Any:
    told = {"task": {"text": "Записать суть", "to": "manager", "due": "end of day"}} | changed
    seen = deal(STAGE, own_tasks=tasks, notes=notes, calls=calls)
    return talk_asks_for_note(event, seen, TalkAsksForNote.model_validate(told))


def test_a_talk_sets_a_task_for_the_end_of_the_day() -> None:
    (made,) = judged(talk())
    assert isinstance(made, CreateTask)
    assert (made.text, str(made.due), made.slot) == ("Записать суть", "end of day", "gist")


def test_a_note_closes_it() -> None:
    assert judged(written(), (task(slot="gist"),)) == [
        FinishTask(deal_id=7, task_id=55, result="Суть записана")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "changed", "why"),
    [
        (talk(seconds=5), {}, "не поговорили"),
        (talk(seconds=45, status=6), {}, "не поговорили"),
        (talk(seconds=None), {}, "длина звонка не читается"),
        (talk(seconds=45), {"calls": (noted(seconds=45, status=1),)}, "не поговорили"),
        (
            talk(at=NOON + timedelta(hours=3)),
            {
                "calls": (noted(seconds=95),),
                "notes": (Note(id=3, text="Думает", at=NOON + timedelta(minutes=1), user_id=101),),
            },
            "уже записана",
        ),
        (talk(), {"tasks": (task(slot="gist"),)}, "ещё открыта"),
        (talk(), {"notes": (Note(id=3, text="Думает", at=NOON + timedelta(minutes=1), user_id=101),)}, "уже записана"),
        (talk(), {"stages": ["Продажи / Новый клиент"]}, "не обязательно"),
        (written(), {}, "уже нечего"),
        (written("ок"), {"tasks": (task(slot="gist"),)}, "слишком короткое"),
        (written(user_id=None), {"tasks": (task(slot="gist"),)}, "не примечание человека"),
        (written(note_type=25), {"tasks": (task(slot="gist"),)}, "не примечание человека"),
    ],
)
def test_nothing_to_do(event: Any, changed: dict[str, Any], why: str) -> None:
    said = judged(event, **changed)
    assert isinstance(said, Skip)
    assert why in said.reason
