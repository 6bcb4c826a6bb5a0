from __future__ import annotations

import pytest

from amo_bridge.text.names import nearest, normalise, same_name


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
