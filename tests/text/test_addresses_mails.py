"""Mail addresses as people and exports write them."""

from __future__ import annotations

import pytest

from amo_bridge.text.addresses import mail_key, mails_in


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("Anna@Example.RU", "anna@example.ru"),
        (" anna@example.ru ", "anna@example.ru"),
        ("an na@exam ple.ru", "anna@example.ru"),
        ("anna\u200b@example.ru\ufeff", "anna@example.ru"),
        ("anna@почта.рф", "anna@xn--80a1acny.xn--p1ai"),
        ("анна@Почта.РФ", "анна@xn--80a1acny.xn--p1ai"),
        ("anna@example.ru.", "anna@example.ru"),
        ("anna+news@example.ru", "anna+news@example.ru"),
    ],
)
def test_one_address_has_one_form(typed: str, key: str) -> None:
    assert mail_key(typed) == key


@pytest.mark.parametrize(
    "typed", ["", "нет", "@example.ru", "anna@", "anna@localhost", "a@b@c.ru", "a@..ru", f"a@{'x' * 64}.ru"]
)
def test_what_is_no_address_is_none(typed: str) -> None:
    assert mail_key(typed) is None


@pytest.mark.parametrize(
    ("cell", "addresses"),
    [
        ("Anna <anna@example.ru>", ("anna@example.ru",)),
        ("anna@example.ru, ANNA@example.ru; boris@example.ru", ("anna@example.ru", "boris@example.ru")),
        ("anna@example.ru boris@example.ru", ("anna@example.ru", "boris@example.ru")),
        ("нет", ()),
    ],
)
def test_a_cell_may_hold_several(cell: str, addresses: tuple[str, ...]) -> None:
    assert mails_in(cell) == addresses
