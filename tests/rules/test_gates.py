"""A person's note, long enough to say something; which tasks count, by whatever name."""

from __future__ import annotations

from typing import Any

import pytest
from support.builders import NOON, task

from amo_bridge.events import NoteAdded
from amo_bridge.rules.deal import Note
from amo_bridge.rules.gates import WhichTasks, says_nothing, says_something


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"note_type": None}, ""),
        ({"note_type": 25}, "это не примечание человека"),
        ({"user_id": 0}, "это не примечание человека"),
        ({"user_id": None}, "это не примечание человека"),
        ({"text": "ок"}, "примечание слишком короткое"),
        ({"text": "  о к   о к \n о к  "}, "примечание слишком короткое"),
    ],
)
def test_a_note_that_was_added(changed: dict[str, Any], why: str) -> None:
    facts = {"at": NOON, "note_id": 1, "note_type": 4, "user_id": 5, "text": "думает до среды"}
    assert says_nothing(NoteAdded(**(facts | changed)), 10) == why


@pytest.mark.parametrize(
    ("text", "user_id", "says"),
    [("думает до среды", 5, True), ("думает до среды", 0, False), ("думает до", 5, False), ("а б в г д е ё", 5, False)],
)
def test_a_note_on_the_card(text: str, user_id: int, says: bool) -> None:
    assert says_something(Note(id=1, text=text, at=NOON, user_id=user_id), 10) is says


@pytest.mark.parametrize(
    ("text", "set_as", "counts"),
    [
        ("Получить документы: Анна", "", True),
        ("Прочее", "", False),
        ("Прочее", "Получить документы: Анна", True),
        ("Получить документы: Анна", "Прочее", True),
        ("Получить документы срочно", "", False),
        ("Получить документы срочно", "Получить документы: Анна", True),
        ("Прочее", "Получить документы срочно", False),
    ],
)
def test_a_task_counts_by_the_text_it_was_set_with_too(text: str, set_as: str, counts: bool) -> None:
    which = WhichTasks(only=("Получить документы",), not_counting=("Получить документы срочно",))
    assert which.counts(text, set_as) is counts
    assert bool(which.counted([task(text=text, set_as=set_as)])) is counts
