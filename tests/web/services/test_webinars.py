"""Somebody is looked for by a part of a phone, a mail or a name, typed in whatever way."""

from __future__ import annotations

import pytest

from amo_bridge.web.services.webinars import is_meant

TOLD = ("Наталья Ёлкина", "n.elkina@example.ru", "+79167654321", "открытая сделка")
ABROAD = ("Олена", "+380501234567")


NAMES = "", "ёлкина", "елкина", "ЕЛКИНА", "Elkina@", "сделка"
NUMBERS = "8 (916) 765", "+7 916 765", "7 (916) 76", "8916765-43", "765 43 21", "916"


@pytest.mark.parametrize("sought", [*NAMES, *NUMBERS])
def test_found(sought: str) -> None:
    assert is_meant(sought, TOLD, ("+79167654321",))


@pytest.mark.parametrize("sought", ["елкин а", "8 (917) 765", "8 800", "+8", "сделка 765"])
def test_not_found(sought: str) -> None:
    assert not is_meant(sought, TOLD, ("+79167654321",))


def test_a_number_of_abroad_is_found_as_typed_there() -> None:
    assert is_meant("050 123", ABROAD, ("+380501234567",))
    assert not is_meant("850 123", ABROAD, ("+380501234567",))


def test_two_digits_are_a_text_and_no_number() -> None:
    assert not is_meant("(21)", TOLD, ("+79167654321",))
