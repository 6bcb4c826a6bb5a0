from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOON, deal, step_due, task, times

from amo_bridge.rules.actions import CreateTask, Skip
from amo_bridge.rules.deal import Touch, Touches
from schedules.unanswered_client_is_escalated import (
    UnansweredClientIsEscalated,
    _steps,
    unanswered_client_is_escalated,
)

ASKED = NOON
STEP = "1 working hour"
ANCHOR = f"waits@{int(ASKED.timestamp())}"


def options(**changed: Any) -> UnansweredClientIsEscalated:
    first = {"after": STEP, "task": {"text": "Ответить клиенту", "to": "manager", "due": "end of day"}}
    later = {"name": "голова", "after": "3 working hours", "escalate": {"text": "Клиент ждёт ответа"}}
    return UnansweredClientIsEscalated.model_validate({"steps": [first, later]} | changed)


def touch(kind: str = "chat", direction: Any = "in", minutes: float = 0, **more: Any) -> Touch:
    return Touch(kind=kind, direction=direction, at=ASKED + timedelta(minutes=minutes), **more)


def asked(*touches: Touch, **changed: Any) -> Any:
    return deal(**({"touches": Touches(touches or (touch(),)), "own_tasks": ()} | changed))


def test_the_steps_are_counted_in_working_time_from_the_first_message() -> None:
    first, later = _steps(deal(unanswered=Touches((touch(),))), options(), times())
    assert (first.anchor, first.since, later.name) == (ANCHOR, ASKED, "голова")
    assert ASKED < first.due < later.due


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(deal(), id="никто не ждёт"),
        pytest.param(deal("Продажи / Успешно реализовано", unanswered=Touches((touch(),))), id="сделка закрыта"),
        pytest.param(deal("Реализация / Закрыто и не реализовано", unanswered=Touches((touch(),))), id="проиграна"),
    ],
)
def test_nobody_waits_and_nothing_is_planned(now: Any) -> None:
    assert list(_steps(now, options(), times())) == []


def test_who_was_not_answered_gets_a_task_then_the_head_is_told() -> None:
    (first,) = unanswered_client_is_escalated(step_due(STEP, ANCHOR), asked(), options())
    assert isinstance(first, CreateTask)
    assert (first.text, first.to) == ("Ответить клиенту", "manager")
    escalated = unanswered_client_is_escalated(step_due("голова", ANCHOR), asked(), options())
    assert [one.to for one in escalated if isinstance(one, CreateTask)] == ["head"]  # type: ignore[union-attr]


def test_they_are_counted_from_the_first_message_of_the_rules_kinds() -> None:
    """A call in vain half an hour before the letter hides it from no rule about letters."""
    waiting = Touches(
        (touch("call", minutes=-30, seconds=0), touch("chat", minutes=-10), touch("mail"), touch("mail", minutes=5))
    )
    first, _ = _steps(deal(unanswered=waiting), options(kinds=["mail"]), times())
    assert (first.anchor, first.since) == (ANCHOR, ASKED)
    said = unanswered_client_is_escalated(step_due(STEP, ANCHOR), asked(*waiting), options(kinds=["mail"]))
    assert not isinstance(said, Skip)
    assert list(_steps(deal(unanswered=waiting), options(kinds=["sms"]), times())) == []


@pytest.mark.parametrize(
    ("now", "changed", "reason"),
    [
        pytest.param(asked(touch(), touch("mail", "out", 5)), {}, "уже ответили", id="написали"),
        pytest.param(asked(touch(), touch("call", "out", 5, seconds=60)), {}, "уже ответили", id="поговорили"),
        pytest.param(asked(touch(), touch("call", "in", 5, seconds=60)), {}, "уже ответили", id="сам дозвонился"),
        pytest.param(
            asked(touch(), touch("mail", "out", 5), touch("chat", "in", 9)), {}, "уже ответили", id="новый вопрос"
        ),
        pytest.param(asked(), {"kinds": ["mail"]}, "не тем способом", id="другой способ"),
        pytest.param(asked(), {"pipelines": ["Реализация"]}, "не из этого правила", id="другая воронка"),
        pytest.param(asked(), {"when": {"tag": "vip"}}, "условие", id="условие"),
        pytest.param(asked(own_tasks=(task(STEP),)), {}, "ещё открыта", id="задача уже есть"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(now: Any, changed: dict[str, Any], reason: str) -> None:
    said = unanswered_client_is_escalated(step_due(STEP, ANCHOR), now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(touch("call", "out", 5, seconds=0), id="звонок без разговора"),
        pytest.param(touch("task", "", 5), id="закрытая задача"),
        pytest.param(touch("chat", "in", 5), id="он же ещё раз"),
    ],
)
def test_what_is_no_answer_does_not_end_the_count(later: Touch) -> None:
    said = unanswered_client_is_escalated(step_due(STEP, ANCHOR), asked(touch(), later), options())
    assert not isinstance(said, Skip)
