"""Enquiries in the store, on both databases: once each, found by whatever their person is known by."""

from __future__ import annotations

from typing import Any

import pytest
from support.fakes import ACCOUNT, NOON, clock

from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository, NotRetryable
from amo_bridge.intake.model import (
    DeliveryStatus,
    Enquiry,
    EnquiryFile,
    PbxCall,
    Recording,
    from_json,
    to_json,
)
from amo_bridge.intake.people import by_person
from amo_bridge.intake.reception import POLLED, VENDORS
from amo_bridge.rules.enquiries import SourceName
from amo_bridge.storage.database import AccountStore, Store

SITE = Enquiry(
    source="tilda", key="1", name="Анна", phones=("8 916 123-45-67",), emails=("Anna@Example.ru",), text="Сколько?",
    files=(EnquiryFile("бриф.docx", "https://a/1", 5),), utm={"utm_source": "ya"}, profile="https://vk.com/id7",
)  # fmt: skip
CALL = PbxCall(source="zadarma", key="c", direction="in", phone="+79161234567", talked=True, duration=9, enquiry=SITE)


def kept(store: Store, *outcomes: Any) -> EnquiryRepository:
    repository = EnquiryRepository(AccountStore(store, ACCOUNT), clock())
    with store.write() as connection:
        for outcome in outcomes:
            repository.add(connection, outcome, request_id=1, received_at=NOON.timestamp())
    return repository


@pytest.mark.parametrize(
    "outcome",
    [
        SITE,
        CALL,
        Enquiry(source="vk", key="2"),
        PbxCall(source="zadarma", key="d", direction="out", phone=None, talked=False),
        Recording(source="zadarma", key="r", call_key="c", url="https://a/r.mp3"),
        DeliveryStatus(source="smsru", key="s", state="delivered"),
    ],
    ids=["форма", "звонок", "пустое", "скрытый номер", "запись", "доставка"],
)
def test_what_is_stored_comes_back_as_it_was(outcome: Any) -> None:
    kind = {Enquiry: "enquiry", PbxCall: "call", Recording: "record", DeliveryStatus: "status"}[type(outcome)]
    assert from_json(kind, to_json(outcome)) == outcome


def test_a_repeat_is_kept_once(store: Store) -> None:
    repository = kept(store, SITE, SITE)
    assert repository.count(EnquiryFilter()) == 1


@pytest.mark.parametrize("typed", ["+7 (916) 123-45-67", "anna@EXAMPLE.ru", "https://vk.com/id7"])
def test_an_enquiry_is_found_by_any_address(store: Store, typed: str) -> None:
    (found,) = kept(store, SITE).find(EnquiryFilter(text=typed))
    assert found.body == SITE


def test_the_deal_of_a_person_is_remembered(store: Store) -> None:
    repository = kept(store, SITE)
    repository.write([1], state="done", deal_id=7, contact_id=70)
    assert repository.earlier_deals(["+79161234567", "+70000000000"]) == {"+79161234567": (7, 70)}


def test_only_what_is_due_is_taken_up(store: Store) -> None:
    repository = kept(store, SITE, CALL)
    repository.write([1], due_at=NOON.timestamp() + 60)
    assert [row.kind for row in repository.open("new", 10)] == ["call"]


def test_shared_addresses_make_one_person(store: Store) -> None:
    other = Enquiry(source="vk", key="3", phones=("+79031112233",))
    chat = Enquiry(source="vk", key="4", profile="https://vk.com/id7", emails=("b@example.ru",))
    rows = kept(store, SITE, other, chat, CALL).open("new", 10)
    people = by_person(rows, "RU")
    assert [[row.id for row in person.rows] for person in people] == [[1, 3, 4], [2]]
    assert (people[0].phones, people[0].profiles) == (("+79161234567",), ("https://vk.com/id7",))
    assert people[0].mails == ("anna@example.ru", "b@example.ru")


def test_enquiries_are_counted_by_day_and_source(store: Store) -> None:
    from datetime import timedelta

    days = [NOON - timedelta(days=1), NOON, NOON + timedelta(days=1)]
    assert kept(store, SITE, CALL).per_day(EnquiryFilter(), days) == [{}, {"tilda": 1, "zadarma": 1}]


@pytest.mark.parametrize("state", ["new", "sent", "done"])
def test_what_is_at_work_or_done_is_not_tried_again(store: Store, state: str) -> None:
    repository = kept(store, SITE)
    repository.write([1], state=state)
    with pytest.raises(NotRetryable):
        repository.retry(1, "Елена")


def test_the_rules_know_every_source() -> None:
    no_enquiries = {"unisender_go", "smsru", "pipedrive"}
    # Novofon's two cabinets are one source.
    assert {*VENDORS, *POLLED} - no_enquiries - {"novofon2"} == set(SourceName.__args__)  # type: ignore[attr-defined]
