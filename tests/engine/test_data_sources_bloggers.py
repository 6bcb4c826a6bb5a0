"""Who the service lines mean: the index of contacts answers, amoCRM only for those it does not know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.fakes import ACCOUNT, client_of, record
from support.local_crm import LocalCrm

from amo_bridge.crm.account import Account
from amo_bridge.engine.data_sources import DealBloggers, SourceContext
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.rules.deal import NamedBlogger
from amo_bridge.rules.service_lines import ServicesSection
from amo_bridge.storage.database import AccountStore, Store

NOON = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
KIND = "Классификация"


class Books:
    """An index of contacts beside a local amoCRM."""

    def __init__(self, crm: LocalCrm, folder: Path) -> None:
        self.store = Store.in_folder(folder)
        self.store.prepare()
        self.client = client_of(crm.url)
        self.account = Account.read(self.client)
        self.index = ContactIndex(AccountStore(self.store, ACCOUNT))

    def know(self, number: int, name: str, kind: str = "блогер") -> None:
        field = self.account.field(KIND, "contacts").id
        known = MirroredContact(id=number, name=name, fields={field: (kind,)}, updated_at=NOON)
        with self.store.write() as connection:
            self.index.put(connection, [known], NOON)

    def found(self, text: str, **changed: Any) -> list[NamedBlogger]:
        told = {"field": "Услуги", "classification": KIND, "platforms": {"Instagram": {}}, **changed}
        services = ServicesSection.model_validate(told)
        ways = SourceContext(self.client, self.account, AccountStore(self.store, ACCOUNT), services)
        deal = record(fields={"Услуги": (text,)})
        return list(DealBloggers(ways).read([deal])[deal.id])


@pytest.fixture
def books(sandbox: LocalCrm, tmp_path: Path) -> Iterator[Books]:
    there = Books(sandbox, tmp_path)
    sandbox.forget_requests()
    yield there
    there.store.close()


@pytest.mark.parametrize("name", ["Бузова Ольга", "ольга  бузова"])
def test_a_known_blogger_costs_no_request(books: Books, sandbox: LocalCrm, name: str) -> None:
    books.know(21, "Ольга Бузова")
    books.know(22, "Ольга Бузова", "клиент")
    books.know(23, "Ольга Бузовая")
    assert [one.contact_ids for one in books.found(f"{name}:\n— Instagram: Пост")] == [(21,)]
    assert sandbox.requests() == {}


def test_namesakes_are_all_told(books: Books) -> None:
    books.know(21, "Ольга Бузова")
    books.know(24, "Бузова Ольга")
    assert [one.contact_ids for one in books.found("Бузова Ольга:\n— Instagram: Пост")] == [(21, 24)]


def test_whom_the_index_does_not_know_amocrm_is_asked_for(books: Books) -> None:
    """The account's own people, whom nobody has indexed: a blogger, and a client who is no blogger."""
    (blogger,) = books.found("Лисицына Екатерина:\n— Instagram: Пост")
    assert len(blogger.contact_ids) == 1
    assert [one.contact_ids for one in books.found("Соколова Анна:\n— Instagram: Пост")] == [()]
    (anybody,) = books.found("Соколова Анна:\n— Instagram: Пост", classification=None)
    assert len(anybody.contact_ids) == 1


def test_a_contact_named_by_its_number_is_taken_at_its_word(books: Books, sandbox: LocalCrm) -> None:
    found = books.found("Бузова Ольга (контакт 77):\n— Instagram: Пост")
    assert found == [NamedBlogger(name="Бузова Ольга", contact_ids=(77,))]
    assert sandbox.requests() == {}
