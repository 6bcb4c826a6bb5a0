from __future__ import annotations

import pytest

from amo_bridge.text.names import filled_list, nearest, normalise, same_name


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("продажи/бриф получен", "Продажи / Бриф получен"),
        ("«Всё готово»", "Все готово"),
        ("  Иван   Петров ", "иван петров"),
        ("Кол–во — шт.", "Кол-во - шт."),
        ("Подписание\u00a0договора", "Подписание договора"),
        ("и\u0306од", "йод"),
        ('Проект "Ромашка"', "Проект “Ромашка”"),
    ],
)
def test_spelling_does_not_decide(typed: str, named: str) -> None:
    assert same_name(typed, named)


@pytest.mark.parametrize(("one", "other"), [("КП", "КП2"), ("Продажи / КП", "Продажи КП"), ("Звонок 1", "Звонок 2")])
def test_different_names_stay_different(one: str, other: str) -> None:
    assert not same_name(one, other)


def test_normalising_twice_changes_nothing() -> None:
    once = normalise("  «Ёлки»/Палки – ")
    assert normalise(once) == once == "елки / палки -"


def test_the_nearest_is_told_in_its_own_spelling() -> None:
    names = ["Продажи / Бриф получен", "Продажи / КП отправлено"]
    assert nearest("продажи/брив получен", names) == "Продажи / Бриф получен"
    assert nearest("Склад", names) is None
    assert nearest("Склад", []) is None


@pytest.mark.parametrize(
    ("text", "values", "told"),
    [
        ("{почта}, {имя}", {"почта": "a@b.test", "имя": "Анна"}, "a@b.test, Анна"),
        ("{почта}, {имя}", {"почта": "", "имя": "Анна"}, "Анна"),
        ("{имя}, заявка", {"имя": ""}, "заявка"),
        ("{имя}, {почта}", {"имя": "{почта}", "почта": "a@b.test"}, "{почта}, a@b.test"),
        ("{чего-то}", {"имя": "Анна"}, "{чего-то}"),
    ],
)
def test_a_list_of_places_leaves_out_what_is_not_known(text: str, values: dict[str, str], told: str) -> None:
    assert filled_list(text, values) == told
