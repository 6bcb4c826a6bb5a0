"""Names of steps as people read them: spans of time are written out, in the reader's language."""

from __future__ import annotations

import pytest
from support.pages import Pages

from amo_bridge.dates.duration import describe_step as in_russian
from amo_bridge.web.template_filters import step_in_words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("7 d", "7 дней"),
        ("1 d", "1 день"),
        ("11 d", "11 дней"),
        ("21 h", "21 час"),
        ("32 d", "32 дня"),
        ("10 minutes", "10 минут"),
        ("72 h", "72 часа"),
        ("2 w", "2 недели"),
        ("4 d 11:00", "4 дня 11:00"),
        ("- 7 working days", "- 7 рабочих дней"),
        ("+ 7 d + 5 working days", "+ 7 дней + 5 рабочих дней"),
        ("3 рабочих часа", "3 рабочих часа"),
        ("7 дней", "7 дней"),
        ("сразу", "сразу"),
        ("1 число 10:00", "1 число 10:00"),
        ("в тот же день", "в тот же день"),
        ("Дедлайн проекта", "Дедлайн проекта"),
        ("5 dogs", "5 dogs"),
        ("A5 d", "A5 d"),
    ],
)
def test_a_span_is_written_out_and_nothing_else_changes(pages: Pages, name: str, words: str) -> None:
    with pages.app.test_request_context("/"):
        pages.app.preprocess_request()
        assert step_in_words(name) == words
    assert in_russian(name) == words, "so do the commands and the journal"


def test_in_english(pages: Pages) -> None:
    with pages.app.test_request_context("/", headers={"Cookie": "language=en"}):
        pages.app.preprocess_request()
        assert step_in_words("- 7 рабочих дней") == "- 7 working days"
