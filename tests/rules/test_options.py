"""The shapes that options of several handlers share: a condition on the deal, a task to set."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from support.builders import deal

from amo_bridge.dates.due import Due
from amo_bridge.rules.option_types import Strict
from amo_bridge.rules.options import Condition, TaskSpec

FIELDS = {"Тип оплаты": "Предоплата", "Договор подписан": True, "Отчёт сдан": False, "Услуги": ("Блогеры", "Посевы")}


class Switch(Strict):
    on: bool = False


class Branch(Strict):
    switch: Switch = Switch()
    branches: tuple[Branch, ...] = ()
    leaf: Leaf | None = None


class Leaf(Strict):
    branch: Branch | None = None
    count: int = 0


@pytest.mark.parametrize(
    "told",
    [
        {"switch": {"on": "yes"}},
        {"branches": [{"switch": {"on": 1}}]},
        {"branches": [{"branches": [{"switch": {"on": "yes"}}]}]},
        {"leaf": {"count": "1"}},
        {"leaf": {"branch": {"leaf": {"count": True}}}},
        {"switch": {"of": True}},
    ],
)
def test_what_options_are_made_of_is_as_strict_as_they_are(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Branch.model_validate(told)
    assert Branch.model_validate({"branches": [{"switch": {"on": True}}], "leaf": {"count": 2}}).branches[0].switch.on


def test_options_may_name_what_is_defined_below_them_in_a_function() -> None:
    class Above(Strict):
        parts: tuple[Below, ...] = ()

    class Below(Strict):
        on: bool = False

    assert Above.model_validate({"parts": [{"on": True}]}).parts == (Below(on=True),)
    with pytest.raises(ValidationError):
        Above.model_validate({"parts": [{"on": "yes"}]})


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"field": "Тип оплаты", "is": "Предоплата"}, True),
        ({"field": "тип оплаты", "is": " предоплата"}, True),
        ({"field": "Тип оплаты", "is": "Постоплата"}, False),
        ({"field": "Источник", "is": "Сайт"}, False),
        ({"field": "Тип оплаты", "is_not": "Постоплата"}, True),
        ({"field": "Тип оплаты", "is_not": "Предоплата"}, False),
        ({"field": "Источник", "is_not": "Сайт"}, True),
        ({"field": "Тип оплаты", "one_of": ["Аванс", "предоплата"]}, True),
        ({"field": "Тип оплаты", "one_of": ["Аванс"]}, False),
        ({"field": "Тип оплаты", "filled": True}, True),
        ({"field": "Тип оплаты", "filled": False}, False),
        ({"field": "Источник", "filled": False}, True),
        ({"field": "Договор подписан", "is": "да"}, True),
        ({"field": "Отчет сдан", "filled": True}, False),
        ({"field": "Услуги", "is": "Блогеры, Посевы"}, True),
        ({"field": "Бюджет", "filled": True}, True),
        ({"field": "Бюджет", "is": "90000"}, True),
        ({"tag": "VIP"}, True),
        ({"tag": "vip"}, True),
        ({"tag": "новый"}, False),
    ],
)
def test_condition(condition: dict[str, Any], holds: bool) -> None:
    asked = Condition.model_validate(condition)
    assert asked.holds(deal(fields=FIELDS, tags=("VIP",), price=90_000)) is holds


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"is": "Предоплата"},
        {"field": "Тип оплаты"},
        {"field": "Тип оплаты", "is": "a", "is_not": "b"},
        {"field": "Тип оплаты", "one_of": []},
        {"field": "Тип оплаты", "is": "a", "tag": "VIP"},
        {"tag": "VIP", "filled": True},
    ],
)
def test_a_condition_asks_exactly_one_thing(condition: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="нужно одно из"):
        Condition.model_validate(condition)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"field": "Тип оплаты", "is": "Предоплата"}, "«Тип оплаты» = «Предоплата»"),
        ({"field": "Тип оплаты", "is_not": "Предоплата"}, "«Тип оплаты» ≠ «Предоплата»"),
        ({"field": "Тип оплаты", "one_of": ["Аванс", "Части"]}, "«Тип оплаты» — одно из: Аванс, Части"),
        ({"field": "Тип оплаты", "filled": True}, "«Тип оплаты» заполнено"),
        ({"field": "Тип оплаты", "filled": False}, "«Тип оплаты» пусто"),
        ({"tag": "VIP"}, "есть тег «VIP»"),
    ],
)
def test_a_condition_can_be_told_in_the_journal(condition: dict[str, Any], words: str) -> None:
    assert str(Condition.model_validate(condition)) == words


def test_a_task_takes_its_words_from_the_deal() -> None:
    spec = TaskSpec.model_validate({"text": "{Название}: {Тип оплаты}, {Источник}, {Этап}", "to": "head", "due": "2 d"})
    task = spec.for_deal(deal("Продажи / Бриф получен", fields=FIELDS), slot="1")
    assert task.text == "Ромашка: Предоплата, —, Продажи / Бриф получен", "an empty field is a dash"
    assert (task.deal_id, task.to, task.due, task.on, task.slot) == (7, "head", Due.parse("2 дня"), "deal", "1")
    assert task.task_type is None


def test_a_task_may_hang_on_the_contact_and_have_a_type() -> None:
    spec = TaskSpec.model_validate({"text": "a", "to": "head", "due": "2 d", "on": "contact", "type": "Встреча"})
    task = spec.for_deal(deal())
    assert (task.on, task.task_type) == ("contact", "Встреча")
