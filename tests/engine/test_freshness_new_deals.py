"""Deals that the bridge has just created: known by what was written, read as soon as anything else is said of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.fakes import NOON, clock

from amo_bridge.crm.lost_writes import Written
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.freshness import CLOCK_ERROR, ECHO_WITHIN_SECONDS, MAX_READ_AGE_SECONDS, NewDeals
from amo_bridge.engine.outbox import Sendable
from amo_bridge.events import (
    DealAdded,
    DealDeleted,
    DealMoved,
    DealUpdated,
    EnquiryOnDeal,
    Event,
    FieldValue,
    NoteAdded,
)
from amo_bridge.mirror.deals import MirroredDeal

DEAL, CONTACT, ME = 501, 77, 9
BODY: dict[str, Any] = {
    "name": "Анна, Тильда", "pipeline_id": 1, "status_id": 2, "responsible_user_id": 3,
    "custom_fields_values": [{"field_id": 10, "values": [{"value": "Сайт"}]}],
    "_embedded": {"tags": [{"name": "сайт"}], "contacts": [{"name": "Анна"}]},
}  # fmt: skip
AT = NOON + timedelta(seconds=1)


def row(kind: str = "create_client_deal", deal_id: int = -1, body: dict[str, Any] = BODY) -> Sendable:
    payload = {"body": body, "person": {"name": "Анна", "phones": [], "mails": []}, "words": ""}
    return Sendable(1, "enquiry_becomes_deal.all", deal_id, kind, payload, 0, NOON.timestamp())


@pytest.fixture
def new_deals() -> NewDeals:
    made = NewDeals(clock(NOON))
    made.put(row(), Written(DEAL, contact_id=CONTACT), NOON, ME)
    return made


def hook(**changes: Any) -> DealAdded:
    """The webhook about it, as amoCRM sends it."""
    told: dict[str, Any] = {
        "deal_id": DEAL, "at": AT, "name": "Анна, Тильда", "pipeline_id": 1, "status_id": 2, "price": 0,
        "responsible_user_id": 3, "tags": ("сайт",), "user_id": ME,
        "fields": (FieldValue(field_id=10, values=(("Сайт", None),)),),
    }  # fmt: skip
    return DealAdded(**{**told, **changes})


OWN = DealAdded(at=NOON - timedelta(hours=2), deal_id=DEAL, user_id=0, pipeline_id=1, status_id=2)
TOLD = EnquiryOnDeal(at=NOON, deal_id=DEAL, enquiry_id=1, source="tilda", is_new=True)


def test_it_is_what_was_written(new_deals: NewDeals) -> None:
    assert new_deals.fresh(DEAL, [OWN, TOLD]) == DealRecord(
        id=DEAL, name="Анна, Тильда", pipeline_id=1, status_id=2, responsible_user_id=3, created_by=ME, updated_by=ME,
        created_at=NOON - CLOCK_ERROR, updated_at=NOON - CLOCK_ERROR, tags=("сайт",), contact_ids=(CONTACT,),
        main_contact_id=CONTACT, fields={10: ("Сайт",)},
    )  # fmt: skip


def test_the_webhook_about_it_says_when_it_was_made(new_deals: NewDeals) -> None:
    record = new_deals.fresh(DEAL, [OWN, hook()])
    assert record is not None
    assert record.updated_at == AT


ELSE: list[Event] = [
    hook(responsible_user_id=4),
    hook(status_id=5),
    hook(tags=()),
    hook(fields=()),
    DealUpdated(deal_id=DEAL, at=AT, name="Анна, Тильда"),
    DealMoved(deal_id=DEAL, at=AT, pipeline_id=1, status_id=5),
    DealDeleted(deal_id=DEAL, at=AT),
]


@pytest.mark.parametrize("event", ELSE, ids=lambda event: type(event).__name__)
def test_whatever_else_is_said_of_it_has_it_read_from_then_on(new_deals: NewDeals, event: Event) -> None:
    assert new_deals.fresh(DEAL, [OWN, event]) is None
    assert new_deals.fresh(DEAL, [OWN]) is None


def test_it_is_read_when_a_read_would_not_be_fresh_any_more() -> None:
    hands = clock(NOON)
    new_deals = NewDeals(hands)
    new_deals.put(row(), Written(DEAL, contact_id=CONTACT), NOON, ME)
    hands.advance(timedelta(seconds=MAX_READ_AGE_SECONDS + 1))
    assert new_deals.fresh(DEAL, [OWN]) is None


@pytest.mark.parametrize(
    ("kind", "is_known"), [("patch_deal", False), ("link_contact", False), ("add_note", True), ("create_task", True)]
)
def test_what_we_write_on_it_has_it_read(new_deals: NewDeals, kind: str, is_known: bool) -> None:
    new_deals.forget([row(kind, DEAL, {"id": DEAL})])
    assert (new_deals.fresh(DEAL, [OWN]) is not None) == is_known


def test_a_contact_that_nobody_names_has_the_deal_read() -> None:
    new_deals = NewDeals(clock(NOON))
    new_deals.put(row(), Written(DEAL), NOON, ME)
    assert new_deals.fresh(DEAL, [OWN]) is None


def test_a_known_contact_is_the_deals() -> None:
    new_deals = NewDeals(clock(NOON))
    body = {**BODY, "_embedded": {"tags": [], "contacts": [{"id": 78}]}}
    new_deals.put(row("create_deal", body=body), Written(DEAL), NOON, ME)
    record = new_deals.fresh(DEAL, [OWN, TOLD])
    assert record is not None
    assert (record.contact_ids, record.main_contact_id) == ((78,), 78)


def copy(new_deals: NewDeals) -> MirroredDeal:
    record = new_deals.fresh(DEAL, [OWN])
    assert record is not None
    return MirroredDeal(record, NOON)


def test_a_late_webhook_with_the_same_words_confirms_the_copy(new_deals: NewDeals) -> None:
    known = copy(new_deals)
    confirmed = new_deals.confirmed(hook(), known)
    assert confirmed is not None
    assert confirmed.record == replace(known.record, updated_at=AT)
    assert confirmed.covers(hook())
    assert not confirmed.covers(hook(responsible_user_id=4)), "of the same second the contents decide"


@pytest.mark.parametrize("event", [*ELSE, NoteAdded(at=AT, entity_type="deal", entity_id=DEAL)], ids=repr)
def test_anything_else_confirms_nothing(new_deals: NewDeals, event: Event) -> None:
    assert new_deals.confirmed(event, copy(new_deals)) is None


def test_a_webhook_about_a_deal_that_others_made_confirms_nothing(new_deals: NewDeals) -> None:
    other = replace(hook(), deal_id=DEAL + 1)
    known = MirroredDeal(replace(copy(new_deals).record, id=DEAL + 1), NOON)
    assert new_deals.confirmed(other, known) is None


def test_an_old_webhook_confirms_nothing() -> None:
    hands = clock(NOON)
    new_deals = NewDeals(hands)
    new_deals.put(row(), Written(DEAL, contact_id=CONTACT), NOON, ME)
    known = copy(new_deals)
    hands.advance(timedelta(seconds=ECHO_WITHIN_SECONDS + 1))
    assert new_deals.confirmed(hook(), known) is None
