"""``[bridge] secret_fields``: a rule may ask whether one is filled, and may not tell its value."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.config_text import GOOD, loaded, problems_of, spoilt

ASKED = spoilt('opt_out_tag = "без робота"', 'opt_out_tag = "без робота"\nsecret_fields = ["Логин/пароль"]')
WON = """
[handlers.won_deal_goes_on.project]
enabled = true
pipelines = ["Продажи"]
to_stage = "Реализация / Тайминг"
"""


def test_whether_it_is_filled_may_be_asked(tmp_path: Path) -> None:
    text = spoilt('fields = ["Дата первой встречи"]', 'fields = ["Дата первой встречи", "Логин/пароль"]', ASKED)
    assert loaded(tmp_path, text).bridge.secret_fields == ("Логин/пароль",)


@pytest.mark.parametrize(
    "text",
    [
        spoilt('text = "Составить КП"', 'text = "Войти: {логин/пароль}"', ASKED),
        f'{ASKED}{WON}carry_fields = ["Логин/пароль"]',
        f'{ASKED}{WON}carry_as = {{ "Логин/пароль" = "Доступ" }}',
    ],
    ids=["в тексте", "с собой", "под другим именем"],
)
def test_its_value_is_not_put_into_a_text_nor_taken_along(tmp_path: Path, text: str) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert "подставить и перенести значение нельзя" in problem


def test_without_the_line_a_field_is_no_secret(tmp_path: Path) -> None:
    text = spoilt('text = "Составить КП"', 'text = "Войти: {Логин/пароль}"', GOOD)
    assert loaded(tmp_path, text).bridge.secret_fields == ()
