"""What lies on a deal's card, as rules see it; and that what was not read can't be mistaken for nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOON, deal

from amo_bridge.rules.deal import Call, Contact, Missing, NotLoaded, Touch, Touches


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda seen: list(seen.open_tasks), id="list"),
        pytest.param(lambda seen: [task for task in seen.open_tasks], id="for"),
        pytest.param(lambda seen: bool(seen.open_tasks), id="bool"),
        pytest.param(lambda seen: not seen.open_tasks, id="not"),
        pytest.param(lambda seen: len(seen.open_tasks), id="len"),
        pytest.param(lambda seen: any(task for task in seen.open_tasks), id="any"),
        pytest.param(lambda seen: seen.open_tasks[0], id="first"),
        pytest.param(lambda seen: "x" in seen.open_tasks, id="in"),
        pytest.param(lambda seen: (*seen.open_tasks,), id="star"),
        pytest.param(lambda seen: tuple(seen.open_tasks), id="tuple"),
        pytest.param(lambda seen: sorted(seen.open_tasks), id="sorted"),
        pytest.param(lambda seen: [*seen.open_tasks, 1], id="plus"),
        pytest.param(lambda seen: seen.touches.since(NOON), id="touches since"),
        pytest.param(lambda seen: seen.touches.last, id="last touch"),
    ],
)
def test_whoever_looks_at_what_was_not_read_hears_it(look: Callable[[Any], object]) -> None:
    with pytest.raises(NotLoaded, match="needs="):
        look(deal())


def test_what_was_not_read_can_be_shown_to_people() -> None:
    assert repr(Missing("files")) == "Unread('files')"
    assert "open_tasks" not in repr(deal())


def test_a_talk_is_a_call_of_some_length() -> None:
    call = Call(id=1, direction="out", at=NOON, seconds=30)
    assert call.is_talk()
    assert not call.is_talk(at_least=31)


def test_a_contact_s_fields_are_read_as_a_deal_s() -> None:
    anna = Contact(id=1, name="Анна", fields={"Классификация": "блогер"})
    assert (anna.text("классификация"), anna.text("Имя"), anna.has("Телефон")) == ("блогер", "Анна", False)


def test_touches_are_asked_by_time_kind_and_side() -> None:
    def touch(hours: float, kind: str = "call", direction: Any = "out") -> Touch:
        return Touch(kind=kind, direction=direction, at=NOON + timedelta(hours=hours))

    first, mail, task, last = touch(0), touch(1, "mail", "in"), touch(2, "task", ""), touch(3, direction="in")
    all_four = Touches((first, mail, task, last))
    assert all_four.last == last
    assert Touches().last is None
    assert all_four.since(mail.at) == (mail, task, last)
    assert all_four.since(mail.at, until=task.at) == (mail,)
    assert all_four.of("call", "task") == (first, task, last)
    assert all_four.by_client() == (mail, last)
    assert all_four.since(mail.at).by_client().last == last
