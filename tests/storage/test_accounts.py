"""Accounts in one store: each has a number of its own, and a new sandbox is another account than the last."""

from __future__ import annotations

from dataclasses import replace

from support.fakes import agency

from amo_bridge.storage.accounts import key_of, known_key
from amo_bridge.storage.database import Store

URL = "https://agency.amocrm.ru"


def test_an_account_keeps_its_number_even_if_it_moves(store: Store) -> None:
    key = key_of(store, agency(), URL)
    assert key_of(store, agency(), URL) == key
    assert key_of(store, replace(agency(), name="Иначе", subdomain="new"), "https://new.amocrm.ru") == key
    assert known_key(store, "https://new.amocrm.ru") == key
    assert known_key(store, URL) is None


def test_a_new_sandbox_with_the_same_ids_is_another_account(store: Store) -> None:
    first = key_of(store, agency(), URL)
    second = key_of(store, replace(agency(), amojo_id="another"), URL)
    assert first != second
    assert known_key(store, URL) == second


def test_an_account_without_the_uuid_is_known_by_its_id(store: Store) -> None:
    plain = replace(agency(), amojo_id="")
    assert key_of(store, plain, URL) == key_of(store, plain, URL)
    assert key_of(store, plain, URL) != key_of(store, replace(plain, id=plain.id + 1), URL)
