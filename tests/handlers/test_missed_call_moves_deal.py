"""W7, W8: missed calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOON, deal, task

from amo_bridge.events import CallLogged
from amo_bridge.rules.actions import CreateTask, FinishTask, MoveDeal, Skip
from amo_bridge.rules.deal import Call, Contact
from handlers.missed_call_moves_deal import MissedCallMovesDeal, missed_call_moves_deal

LONG, MISSED = "Вебинары / Был на вебинаре более часа", "Вебинары / Недозвонились до клиента"
EUROPE, LOST = "Вебинары / Недозвонились до клиента. Европа", "Вебинары / Закрыто и не реализовано"
TO_MISSED, TO_EUROPE = MoveDeal(deal_id=7, to=MISSED), MoveDeal(deal_id=7, to=EUROPE)


def options(**changed: Any) -> MissedCallMovesDeal:
    return MissedCallMovesDeal.model_validate(
        {
            "stages": [LONG, MISSED, EUROPE], "to_stage": MISSED, "lost_stage": LOST, "lost_reason": "Не дозвонились",
            "foreign_stage": EUROPE, "foreign_reason": "Недозвон. Европа",
            "task": {"text": "Перезвонить", "to": "manager", "due": "1 working day"},
            "foreign_task": {"text": "Написать", "to": "manager", "due": "1 working day"},
        }
        | changed
    )  # fmt: skip


def calls(*seconds: int, direction: str = "out") -> tuple[Call, ...]:
    return tuple(
        Call(id=n, direction=direction, at=NOON + timedelta(hours=n), seconds=length, status=4 if length else 6)  # type: ignore[arg-type]
        for n, length in enumerate(seconds)
    )


def judged(
    *seconds: int,
    phone: str = "+79161234567",
    on: str = LONG,
    event: Any = None,
    tasks: tuple[Any, ...] = (),
    **changed: Any,
) -> Any:
    heard = event or CallLogged(at=NOON, note_id=1, entity_type="deal", entity_id=7, direction="out", seconds=0)
    people = (Contact(id=5, is_main=True, phones=(phone,) if phone else ()),)
    return missed_call_moves_deal(
        heard, deal(on, calls=calls(*seconds), contacts=people, own_tasks=tasks), options(**changed)
    )  # fmt: skip


def told(said: Any) -> list[str]:
    return [action.text for action in said if isinstance(action, CreateTask)]


def only_moves(said: Any) -> list[MoveDeal]:
    return [action for action in said if isinstance(action, MoveDeal)]


@pytest.mark.parametrize(
    ("seconds", "phone", "on", "moves"),
    [
        ((0,), "+79161234567", LONG, [TO_MISSED]),
        ((0, 0), "+79161234567", MISSED, []),
        ((0, 0, 0), "+79161234567", MISSED, [MoveDeal(deal_id=7, to=LOST, reason="Не дозвонились")]),
        ((0, 0, 95, 0), "+79161234567", MISSED, []),
        ((0,), "+380501234567", LONG, [TO_EUROPE]),
        ((0,), "+77771234567", LONG, [TO_EUROPE]),
        ((0, 0, 0), "+380501234567", EUROPE, [MoveDeal(deal_id=7, to=LOST, reason="Недозвон. Европа")]),
        ((0,), "", LONG, [TO_MISSED]),
    ],
)
def test_where_a_missed_call_leads(seconds: tuple[int, ...], phone: str, on: str, moves: list[MoveDeal]) -> None:
    assert only_moves(judged(*seconds, phone=phone, on=on)) == moves


def test_a_task_to_call_again_is_set_once() -> None:
    assert told(judged(0)) == ["Перезвонить"]
    assert judged(0, 0, on=MISSED, tasks=(task(slot="again"),)) == Skip("сделка уже там, и задача открыта")


@pytest.mark.parametrize("phone", ["+380501234567", "+77771234567"])
def test_a_client_abroad_is_to_be_written_to_and_never_called(phone: str) -> None:
    assert told(judged(0, phone=phone)) == ["Написать"]
    assert told(judged(0, phone=phone, foreign_task=None)) == []
    assert judged(0, 0, phone=phone, on=EUROPE, foreign_task=None) == Skip("сделка уже там")


@pytest.mark.parametrize("phone", ["+79161234567", "+380501234567"])
def test_the_last_try_closes_the_task_too(phone: str) -> None:
    """Once the deal is closed, and not if amoCRM refuses that: then somebody still has to call."""
    (lost,) = judged(0, 0, 0, phone=phone, on=MISSED, tasks=(task(slot="again"), task("again", is_completed=True)))
    (closed,) = lost.then
    assert closed == FinishTask(deal_id=7, task_id=55, result="Недозвонов: 3, сделка закрыта")
    assert isinstance(lost, MoveDeal)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_when_they_talked_the_task_is_closed_wherever_the_deal_is(direction: str) -> None:
    event = CallLogged(at=NOON, note_id=1, entity_type="deal", entity_id=7, direction=direction, seconds=95)
    assert judged(0, 95, on="Вебинары / Думает (поговорили)", event=event, tasks=(task(slot="again"),)) == [
        FinishTask(deal_id=7, task_id=55, result="Поговорили")
    ]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"direction": "in"}, "клиент позвонил сам"),
        ({"seconds": 95}, "поговорили"),
    ],
)
def test_what_is_no_missed_call(changed: dict[str, Any], why: str) -> None:
    facts = {"at": NOON, "note_id": 1, "entity_type": "deal", "entity_id": 7, "direction": "out", "seconds": 0}
    assert judged(0, event=CallLogged(**(facts | changed))) == Skip(why)


def test_other_stages_are_left_alone() -> None:
    assert judged(0, on="Вебинары / Отправлен на повтор вебинара") == Skip(
        "на этапе «Вебинары / Отправлен на повтор вебинара» недозвоны не считаются"
    )


def test_a_talk_begins_the_count_anew() -> None:
    assert judged(0, 0, 95) == Skip("после последнего разговора недозвонов нет")


@pytest.mark.parametrize("status", [1, 6, 7])
def test_a_call_that_reached_nobody_is_a_try_however_long_it_rang(status: int) -> None:
    event = CallLogged(
        at=NOON, note_id=1, entity_type="deal", entity_id=7, direction="out", seconds=45, status=status
    )  # fmt: skip
    there = deal(
        LONG, calls=(Call(id=1, direction="out", at=NOON, seconds=45, status=status),), contacts=(), own_tasks=()
    )
    assert only_moves(missed_call_moves_deal(event, there, options())) == [TO_MISSED]


def test_a_call_that_tells_nothing_is_neither_a_talk_nor_a_try() -> None:
    event = CallLogged(at=NOON, note_id=1, entity_type="deal", entity_id=7, direction="out", seconds=None)
    said = judged(0, 0, 0, event=event)
    assert said == Skip("длина звонка не читается, итога нет: поговорили или нет, неизвестно")
    unread = (Call(id=9, direction="out", at=NOON, seconds=None), *calls(0))
    there = deal(LONG, calls=unread, contacts=(), own_tasks=())
    missed = CallLogged(at=NOON, note_id=1, entity_type="deal", entity_id=7, direction="out", seconds=0)
    assert only_moves(missed_call_moves_deal(missed, there, options(most=2))) == [TO_MISSED]


def test_a_note_that_claims_a_talk_is_not_believed_when_another_of_the_same_call_knows_better() -> None:
    event = CallLogged(at=NOON, note_id=2, entity_type="deal", entity_id=7, direction="out", seconds=45)
    call = Call(id=1, direction="out", at=NOON, seconds=45, status=6, note_ids=(1, 2))
    there = deal(LONG, calls=(call,), contacts=(), own_tasks=(task(slot="again"),))
    assert only_moves(missed_call_moves_deal(event, there, options())) == [TO_MISSED]
