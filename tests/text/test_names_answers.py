"""Answers as people type them into a task's result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amo_bridge.text.names import comment_after

YES, NO = "Согласовано", "Не согласовано"


@pytest.mark.parametrize(
    ("result", "comment"),
    [
        ("Согласовано", ""),
        ("согласовано", ""),
        ("СОГЛАСОВАНО!", ""),
        ("  Согласовано.  ", ""),
        ("«Согласовано»", ""),
        ("Согласованно", ""),
        ("1) Согласовано", ""),
        ("Согласовано, цену не менять", "цену не менять"),
        ("Согласовано — Петров звонит сам!", "Петров звонит сам!"),
        ("Согласовано\nно без скидки", "но без скидки"),
    ],
)
def test_yes(result: str, comment: str) -> None:
    assert comment_after(result, [YES]) == comment
    assert comment_after(result, [NO]) is None


@pytest.mark.parametrize(
    ("result", "comment"),
    [
        ("Не согласовано", ""),
        ("не  согласовано", ""),
        ("Несогласовано", ""),
        ("НЕ СОГЛАСОВАННО: слишком дорого", "слишком дорого"),
        ("2. Не согласовано; убрать третьего блогера", "убрать третьего блогера"),
        ("не-согласовано", ""),
    ],
)
def test_no(result: str, comment: str) -> None:
    assert comment_after(result, [NO]) == comment
    assert comment_after(result, [YES]) is None


@pytest.mark.parametrize("result", ["", " ", "ок", "да", "Согласуем завтра", "Согласовано2", "Почти согласовано", "1)"])
def test_neither(result: str) -> None:
    assert comment_after(result, [YES]) is None
    assert comment_after(result, [NO]) is None


def test_several_words_for_one_answer_and_words_with_yo() -> None:
    assert comment_after("Ок", [YES, "ок"]) == ""
    assert comment_after("учтено", ["Учтёно"]) == ""


def test_no_answer_at_all_is_never_meant() -> None:
    assert comment_after("", ["", "!"]) is None
    assert comment_after("что-то", [""]) is None


@given(st.text())
def test_whatever_is_typed_is_yes_or_no_or_neither_but_never_both(result: str) -> None:
    assert comment_after(result, [YES]) is None or comment_after(result, [NO]) is None
