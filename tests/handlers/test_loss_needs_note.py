"""W10: some reasons of loss need a note of what was said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOON, deal, entered

from amo_bridge.rules.actions import RollBack, Skip
from amo_bridge.rules.deal import Note
from handlers.loss_needs_note import LossNeedsNote, loss_needs_note

LOST = "Вебинары / Закрыто и не реализовано"


def note(text: str = "Сказала, что дорого", days: float = 0, user_id: int = 101) -> Note:
    return Note(id=1, text=text, at=NOON - timedelta(days=days), user_id=user_id)


def judged(*notes: Note, reason: str | None = "Дорого", event: Any = None, on: str = LOST, **changed: Any) -> Any:
    told = {"reasons": ["Дорого", "Нет времени"], "pipelines": ["Вебинары"]} | changed
    said = event or entered(LOST, user_id=101, user_is=("Иван Петров", "manager"))
    return loss_needs_note(said, deal(on, loss_reason=reason, notes=notes), LossNeedsNote.model_validate(told))


@pytest.mark.parametrize("notes", [(), (note("нет"),), (note(user_id=0),), (note(days=31),)])
def test_without_a_note_of_a_person_it_is_put_back(notes: tuple[Note, ...]) -> None:
    said = judged(*notes)
    assert isinstance(said, RollBack)
    assert said.needs == "напишите примечание: что сказал клиент"
    assert said.tell == 101


def test_with_a_note_it_passes() -> None:
    assert judged(note("нет"), note()) == Skip("примечание есть")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"reason": "Тестовое задание"}, "не обязательно"),
        ({"reason": None}, "не обязательно"),
        ({"may_pass": ["manager"]}, "этому человеку можно"),
        ({"event": entered(LOST)}, "закрыл не человек"),
        ({"on": "Вебинары / Перенос звонка"}, "не потеряна"),
        ({"pipelines": ["Продажи"]}, "не обязательно"),
    ],
)
def test_it_is_not_looked_at(changed: dict[str, Any], why: str) -> None:
    said = judged(**changed)
    assert isinstance(said, Skip)
    assert why in said.reason
