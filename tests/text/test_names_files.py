"""File names as people write them: what counts as «begins with these words», and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amo_bridge.text.names import is_named, is_picture, starts_with

OFFER = "Коммерческое предложение"
REPORT = 'Отчет по проекту "Ёлка: зима/весна"'


@pytest.mark.parametrize(
    "name",
    [
        "Коммерческое предложение.pdf",
        "Коммерческое предложение для бренда «Ромашка».pdf",
        "КОММЕРЧЕСКОЕ ПРЕДЛОЖЕНИЕ v2.docx",
        "коммерческое_предложение_ромашка.pdf",
        "Коммерческое  предложение.pdf",
        "«Коммерческое предложение» Ромашка.pdf",
        "Коммерческое-предложение.pdf",
        "Kommercheskoe predlozhenie.pdf",
        "kommercheskoe_predlozhenie_romashka.pdf",
        "Kommercheskoye predlozheniye.pdf",
        "Kommercheskoje predlojenije.pdf",
        "„Коммерческое предложение“.pdf",
        "Коммерческое предложение.PDF",
    ],
)
def test_begins_with_it(name: str) -> None:
    assert starts_with(name, OFFER)


@pytest.mark.parametrize(
    "name",
    [
        "Договор 17 подписан.pdf",
        "ДОГОВОР_ромашка_подписанный.pdf",
        "Договор подписан (1).pdf",
        "Dogovor 17 podpisan.pdf",
    ],
)
def test_a_gap_is_whatever_stands_there(name: str) -> None:
    assert starts_with(name, "Договор … подписан")
    assert starts_with(name, "Договор ... подписан")


@pytest.mark.parametrize(
    "name",
    [
        "Договор 17.pdf",
        "Подписан договор.pdf",
        "Договор не подписан.pdf",
        "Договор неподписан.pdf",
        "Dogovor ne podpisan",
    ],
)
def test_a_gap_is_no_guess(name: str) -> None:
    assert not starts_with(name, "Договор … подписан")


@pytest.mark.parametrize(
    "name", ["Договор.pdf", "Ромашка. Коммерческое предложение.pdf", "Коммерческое.pdf", "Коммерческий.pdf", "", ".pdf"]
)
def test_does_not_begin_with_it(name: str) -> None:
    assert not starts_with(name, OFFER)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Счёт 15.pdf", "счет"),
        ("Счет 15.pdf", "Счёт"),
        ("Schet 15.pdf", "Счёт"),
        ("Счёт 15.pdf", "schet"),
        ("Щавель.pdf", "shchavel"),
        ("Цех.pdf", "tsekh"),
        ("Йод.pdf", "jod"),
        ("Счет\u0308.pdf", "Счёт"),
        ("Schyot 15.pdf", "Счёт"),
        ("Schjot 15.pdf", "Счёт"),
        ("Tekhnicheskoe zadanie.pdf", "Техническое задание"),
        ("Texnicheskoe zadanie.pdf", "Техническое задание"),
        ('Ob"yavlenie.pdf', "Объявление"),
        ("Obiavlenie.pdf", "Объявление"),
        ("Schast'e.pdf", "Счастье"),
        ("Czirk.pdf", "Цирк"),
        ("Shhuka.pdf", "Щука"),
        ("Yurij.pdf", "Юрий"),
        ("Iurii.pdf", "Юрий"),
    ],
)
def test_letters_that_are_written_in_two_ways(name: str, wanted: str) -> None:
    assert starts_with(name, wanted)


@pytest.mark.parametrize(
    "name",
    [
        'Отчет по проекту "Ёлка: зима/весна".pdf',
        "Отчёт по проекту «Елка зима весна».docx",
        "ОТЧЕТ ПО ПРОЕКТУ _Ёлка_ зима_весна_.pdf",
        "Отчет по проекту Ёлка - зима весна",
        "Отчет по проекту Ёлка зима весна (2).pdf",
        "Otchet po proektu Elka zima vesna.pdf",
        "Otchyot po proyektu Yolka zima vesna.pdf",
    ],
)
def test_the_whole_name(name: str) -> None:
    assert is_named(name, REPORT)


@pytest.mark.parametrize(
    "name",
    [
        "Отчет по проекту.pdf",
        "Отчет по проекту «Ёлка зима».pdf",
        "Отчет по проекту «Ёлка: зима/весна» черновик.pdf",
        "Отчет «Ёлка: зима/весна».pdf",
        "",
        ".pdf",
    ],
)
def test_another_name(name: str) -> None:
    assert not is_named(name, REPORT)


def test_a_deal_named_like_a_site_keeps_its_ending() -> None:
    assert is_named("Отчет по проекту romashka.ru.pdf", "Отчет по проекту romashka.ru")
    assert is_named("Отчет по проекту romashka.ru", "Отчет по проекту romashka.ru")
    assert not is_named("Отчет по проекту romashka.pdf", "Отчет по проекту romashka.ru")


@pytest.mark.parametrize("nothing", ["", " ", "«»", "_"])
def test_nothing_is_no_beginning(nothing: str) -> None:
    assert not starts_with("Договор.pdf", nothing)
    assert not is_named("Договор.pdf", nothing)


@given(st.text(alphabet="абвгдежзийклмнопрстуфхцчшщъыьэюя", min_size=1), st.text(max_size=20))
def test_a_name_begins_with_its_own_beginning(beginning: str, rest: str) -> None:
    assert starts_with(f"{beginning} {rest}.pdf", beginning)
    assert starts_with(f"{beginning} {rest}.pdf".upper(), beginning)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("IMG_2041.PNG", True), ("снимок экрана.jpeg ", True), ("Анкета.docx", False), ("png", False), ("", False)],
)
def test_a_picture_is_known_by_its_extension(name: str, is_one: bool) -> None:
    assert is_picture(name) == is_one
