"""W12: a letter in the shared mailbox is told to whoever answers for the deal."""

from __future__ import annotations

from typing import Any

import pytest
from support.builders import NOON, deal

from amo_bridge.events import ClientAnswered
from amo_bridge.rules.actions import Notify, Skip
from handlers.letter_is_told import LetterIsTold, letter_is_told

STAGE = "Вебинары / Думает (поговорили)"


def judged(by: str = "mail", subject: str = "Вопрос о рассрочке", **options: Any) -> Any:
    event = ClientAnswered(at=NOON, deal_id=7, by=by, source="note:1", text=subject)
    rule = {"notify": {"to": "manager", "text": "{Название}: клиент написал"}} | options
    return letter_is_told(event, deal(STAGE), LetterIsTold.model_validate(rule))


def test_the_manager_is_told_the_subject() -> None:
    text = "Ромашка: клиент написал. Тема: «Вопрос о рассрочке»"
    assert judged() == Notify(deal_id=7, to=("manager",), text=text)


def test_a_letter_without_a_subject_is_told_too() -> None:
    assert judged(subject="").text == "Ромашка: клиент написал"


def test_the_rule_says_who_is_told_where_and_in_which_words() -> None:
    notify = {"to": ["manager", "head"], "text": "Письмо: {Название}", "urgent": True}
    said = judged(stages=[STAGE], notify=notify)
    assert said == Notify(
        deal_id=7, to=("manager", "head"), text="Письмо: Ромашка. Тема: «Вопрос о рассрочке»", urgent=True
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param({"by": "call"}, "не писал", id="звонок"),
        pytest.param({"by": "chat"}, "не писал", id="чат"),
        pytest.param({"by": "sms"}, "не писал", id="SMS"),
        pytest.param({"stages": ["Вебинары / Перенос звонка"]}, "не говорится", id="другой этап"),
    ],
)
def test_nothing_is_said(changed: dict[str, Any], reason: str) -> None:
    said = judged(**changed)
    assert isinstance(said, Skip)
    assert reason in said.reason
