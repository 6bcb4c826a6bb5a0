"""Which of the addresses that people type can be used."""

from __future__ import annotations

import pytest

from amo_bridge.channels.mail import address_key, usable


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("olga@client.ru", "olga@client.ru"),
        (" Olga.S+work@Client.RU ", "olga.s+work@client.ru"),
        ("olga @client.ru", "olga@client.ru"),
        ("\u200bolga@client.ru\ufeff", "olga@client.ru"),
        ("mailto:olga@client.ru", "olga@client.ru"),
        ("olga@ромашка.рф", "olga@xn--80aa3agjl3d.xn--p1ai"),
        ("ольга@client.ru", None),
        ("olga", None),
        ("olga@", None),
        ("@client.ru", None),
        ("olga@client", None),
        ("olga@@client.ru", None),
        ("a..b@client.ru", None),
        (".a@client.ru", None),
        ("olga@client.ru>\r\nRCPT TO:<b@c.ru", None),
        ("olga@client.ru,b@c.ru", None),
        ("x" * 65 + "@client.ru", None),
        ("olga@" + "д" * 300 + ".рф", None),
        ("", None),
    ],
)
def test_usable(typed: str, address: str | None) -> None:
    assert usable(typed) == address


def test_what_is_kept_of_an_address_is_not_the_address() -> None:
    kept = address_key(1, "olga@client.ru")
    assert (len(kept), "olga" in kept) == (64, False)
    assert kept == address_key(1, "olga@client.ru") != address_key(2, "olga@client.ru")
