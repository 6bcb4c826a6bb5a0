"""Telephone numbers as people and exports write them."""

from __future__ import annotations

import pytest

from amo_bridge.text.addresses import country_of, e164, numbers_in


@pytest.mark.parametrize(
    "typed",
    [
        "+7 916 123-45-67", "8 (916) 123-45-67", "89161234567", "79161234567", "9161234567", "916 123 45 67",
        "+7(916)123-45-67 доб. 12", "8-916-123-45-67 ext. 5", " 8916.123.4567 ", "+7 916 123‑45‑67",
    ],
)  # fmt: skip
def test_one_number_has_one_form(typed: str) -> None:
    assert e164(typed) == "+79161234567"


@pytest.mark.parametrize(
    "typed", ["", "нет", "12345", "0501234567", "+7 916 123", "Анна", "8 800", "99999999999999999"]
)
def test_what_is_no_number_is_none(typed: str) -> None:
    assert e164(typed) is None


@pytest.mark.parametrize(
    ("typed", "number", "country"),
    [
        ("+7 701 123 45 67", "+77011234567", "KZ"),
        ("8 777 123 45 67", "+77771234567", "KZ"),
        ("+7 727 250 12 34", "+77272501234", "KZ"),
        ("+7 600 123 45 67", "+76001234567", "KZ"),
        ("8 495 123-45-67", "+74951234567", "RU"),
        ("8 800 555-35-35", "+78005553535", "RU"),
        ("+380 50 123 45 67", "+380501234567", "UA"),
        ("380501234567", "+380501234567", "UA"),
        ("+49 30 901820", "+4930901820", "DE"),
    ],
)
def test_countries_are_told_apart(typed: str, number: str, country: str) -> None:
    assert e164(typed) == number
    assert country_of(number) == country


def test_home_decides_what_a_number_without_a_country_is() -> None:
    assert e164("050 123 45 67", "UA") == "+380501234567"


def test_what_is_no_number_has_no_country() -> None:
    assert country_of("Анна") is None


@pytest.mark.parametrize(
    ("cell", "numbers"),
    [
        ("8916 123-45-67, 8 (495) 123-45-67", ("+79161234567", "+74951234567")),
        ("+79161234567; +79161234567", ("+79161234567",)),
        ("89161234567 / 84951234567", ("+79161234567", "+74951234567")),
        ("89161234567\n84951234567", ("+79161234567", "+74951234567")),
        ("89161234567 или 84951234567", ("+79161234567", "+74951234567")),
        ("+7 916 123-45-67 доб. 12", ("+79161234567",)),
        ("спросить у Анны", ()),
        ("", ()),
    ],
)
def test_a_cell_may_hold_several(cell: str, numbers: tuple[str, ...]) -> None:
    assert numbers_in(cell) == numbers
