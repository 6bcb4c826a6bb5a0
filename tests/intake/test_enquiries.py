"""Enquiries in the store, on both databases: once each, found by whatever their person is known by."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, update
from support.fakes import ACCOUNT, NOON, clock

from amo_bridge.engine.dead_letters import DeadLetters, NotFailed
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.outbox import Planned
from amo_bridge.events import EnquiryReceived
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
from amo_bridge.storage.database import AccountStore, Store, insert_new
from amo_bridge.storage.tables import events, outbox

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


@pytest.mark.parametrize("number", ["telegram_id", "max_id", "viber_id", "psid"])
def test_who_has_no_name_at_a_messenger_is_known_by_his_number_there(store: Store, number: str) -> None:
    first, second = (Enquiry(source="telegram", key=key, extra={number: "77"}) for key in "12")
    other = Enquiry(source="telegram", key="3", extra={number: "78"})
    people = by_person(kept(store, first, second, other).open("new", 10), "RU")
    assert [[row.id for row in person.rows] for person in people] == [[1, 2], [3]]
    assert people[0].addresses == (f"{number}:77",)


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


TWIN = Enquiry(source="vk", key="7", phones=("+79161234567",), text="Алло?")
STRANGER = Enquiry(source="vk", key="8", phones=("+79031112233",))


def states(repository: EnquiryRepository) -> dict[int, tuple[str, int]]:
    return {row.id: (row.state, row.attempts) for row in reversed(repository.find(EnquiryFilter()))}


def test_all_that_wait_for_one_person_are_tried_again_together(store: Store) -> None:
    nameless = Enquiry(source="vk", key="9", profile="https://vk.com/id1")
    repository = kept(store, SITE, nameless, TWIN, STRANGER)
    repository.write([1, 2], state="asked", event_key="enquiry:1:0")
    repository.write([3], state="asked", event_key="enquiry:3:0")
    repository.write([4], state="asked", event_key="enquiry:4:0")
    done, errors = repository.retry_all([1, 2, 3], "Елена")
    assert ([row.id for row in done], errors) == ([1, 2, 3], [])
    assert states(repository) == {1: ("new", 1), 2: ("new", 1), 3: ("new", 1), 4: ("asked", 0)}


def test_of_those_who_press_at_once_one_has_it_judged_again(store: Store) -> None:
    repository = kept(store, SITE)
    repository.write([1], state="skipped")
    together = Barrier(6)

    def press(_: int) -> list[str]:
        together.wait(30)
        return repository.retry_all([1], "Елена")[1]

    with ThreadPoolExecutor(6) as pool:
        errors = [words for errors in pool.map(press, range(6)) for words in errors]
    assert states(repository) == {1: ("new", 1)}
    assert len(errors) == 5, errors


def refused(store: Store) -> EnquiryRepository:
    """An enquiry of which amoCRM has refused an effect."""
    repository = kept(store, SITE)
    event = EnquiryReceived(at=NOON, enquiry_id=1, deal_id=-1, standing="new", source="tilda")
    with store.write() as connection:
        add_events(connection, ACCOUNT, [event], NOON.timestamp())
        number = connection.execute(select(events.c.id)).scalar_one()
        effect = Effect("add_note", -1, {}, "примечание")
        insert_new(connection, outbox, [Planned(number, "a.b", "k", effect).row(ACCOUNT, NOON)])
        connection.execute(update(outbox).values(state="failed", error="поле не то"))
    repository.write([1], state="refused", event_key=event.dedup_key, error="поле не то")
    return repository


def test_what_was_refused_is_sent_again(store: Store) -> None:
    repository = refused(store)
    assert repository.retry_all([1], "Елена")[1] == []
    assert states(repository) == {1: ("sent", 0)}
    with store.read() as connection:
        assert connection.execute(select(outbox.c.state)).scalars().all() == ["ready"]


def test_a_refusal_that_somebody_has_settled_meanwhile_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def settled(*_: Any) -> None:
        raise NotFailed("среди отказов нет: F1")

    repository = refused(store)
    for name in ("retry", "put_back"):
        monkeypatch.setattr(DeadLetters, name, settled)
    assert repository.retry_all([1], "Елена") == ([], ["обращение № 1: среди отказов нет: F1"])
    assert states(repository) == {1: ("refused", 0)}


def test_the_rules_know_every_source() -> None:
    no_enquiries = {"unisender_go", "smsru", "pipedrive", "telegram_staff", "max_staff"}
    # Novofon's two cabinets are one source.
    assert {*VENDORS, *POLLED} - no_enquiries - {"novofon2"} == set(SourceName.__args__)  # type: ignore[attr-defined]
