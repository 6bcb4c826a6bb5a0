"""File names as people write them: what counts as «begins with these words», and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amo_bridge.file_names import starts_with

OFFER = "Коммерческое предложение"


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
    ],
)
def test_begins_with_it(name: str) -> None:
    assert starts_with(name, OFFER)


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
    ],
)
def test_letters_that_are_written_in_two_ways(name: str, wanted: str) -> None:
    assert starts_with(name, wanted)


@pytest.mark.parametrize("nothing", ["", " ", "«»", "_"])
def test_nothing_is_no_beginning(nothing: str) -> None:
    assert not starts_with("Договор.pdf", nothing)


@given(st.text(alphabet="абвгдежзийклмнопрстуфхцчшщъыьэюя", min_size=1), st.text(max_size=20))
def test_a_name_begins_with_its_own_beginning(beginning: str, rest: str) -> None:
    assert starts_with(f"{beginning} {rest}.pdf", beginning)
    assert starts_with(f"{beginning} {rest}.pdf".upper(), beginning)
