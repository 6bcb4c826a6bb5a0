"""«/клиенту …» in a note: whose note, and what its words are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from support.builders import deal

from amo_bridge.events import NoteAdded
from amo_bridge.rules.actions import AddNote, AnswerClient, Skip
from handlers.note_answers_client import NoteAnswersClient, note_answers_client

NOON = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def judged(text: str, **changed: Any) -> Any:
    facts: dict[str, Any] = {
        "at": NOON, "note_id": 31, "note_type": 4, "user_id": 5, "entity_type": "deal", "entity_id": 7, "text": text,
    }  # fmt: skip
    return note_answers_client(NoteAdded(**(facts | changed)), deal(), NoteAnswersClient())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/клиенту Здравствуйте!", "Здравствуйте!"),
        ("  /Клиенту: Здравствуйте,\nждём вас", "Здравствуйте,\nждём вас"),
        ("/КЛИЕНТУ\nдо завтра /клиенту", "до завтра /клиенту"),
    ],
)
def test_the_words_behind_the_command_go_to_the_client(text: str, words: str) -> None:
    assert judged(text) == AnswerClient(deal_id=7, text=words, note_id=31)


def test_a_note_on_a_contact_is_for_that_contact() -> None:
    said = judged("/клиенту да", entity_type="contact", entity_id=55, deal_id=7)
    assert said == AnswerClient(deal_id=7, text="да", note_id=31, contact_id=55)


def test_a_command_without_words_is_told_of() -> None:
    said = judged("/клиенту  ")
    assert isinstance(said, AddNote)
    assert "нет слов" in said.text
    assert not said.text.startswith("/"), "it must not be a command itself"


@pytest.mark.parametrize(
    ("text", "changed", "reason"),
    [
        pytest.param("клиенту позвонить", {}, "не начинается", id="no command"),
        pytest.param("Написал /клиенту привет", {}, "не начинается", id="further on"),
        pytest.param("/клиентурой займусь", {}, "не начинается", id="another word"),
        pytest.param("/клиенту привет", {"user_id": 0}, "не примечание человека", id="a robot's"),
        pytest.param("/клиенту привет", {"user_id": None}, "не примечание человека", id="nobody's"),
        pytest.param("/клиенту привет", {"note_type": 25}, "не примечание человека", id="a service note"),
    ],
)
def test_other_notes_are_left_alone(text: str, changed: dict[str, Any], reason: str) -> None:
    said = judged(text, **changed)
    assert isinstance(said, Skip)
    assert reason in said.reason
