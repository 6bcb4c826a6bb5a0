"""A call on a contact's card is told on the open deals whose main contact he is: once, and for few requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.fakes import (
    ACCOUNT,
    LOST,
    NEW,
    NOON,
    NoOptions,
    ScriptedCrm,
    api_row,
    at,
    clock,
    record,
    rule,
    rule_engine_with,
)

from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.processor import EventProcessor
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.events import CallLogged, Event, NoteAdded, StageEntered
from amo_bridge.mirror.contacts import ContactIndex, ContactRefresher, MirroredContact
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.rules.actions import Action, Skip
from amo_bridge.rules.deal import Deal
from amo_bridge.storage.database import AccountStore, Store

ANNA, BLOGGER = 70, 71
DEALS, CONTACTS = "/api/v4/leads", "/api/v4/contacts"


def hears(event: Event, deal: Deal, options: NoOptions) -> Skip | list[Action]:
    return Skip(f"слышит {deal.id}")


def call(number: int = 1, contact: int = ANNA, **more: Any) -> CallLogged:
    facts = {"at": NOON, "note_id": number, "note_type": 11, "entity_type": "contact", "entity_id": contact}
    return CallLogged(**({"direction": "out"} | facts | more))


def of(contact: int, deal_id: int, on: str = NEW, other: int = BLOGGER) -> DealRecord:
    """A deal whose main contact he is."""
    return record(on, deal_id, main_contact_id=contact, contact_ids=(contact, other))


class Office:
    """A store, an amoCRM and the planner between them; the rule listens to calls."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.crm = ScriptedCrm(rows={DEALS: [], CONTACTS: []})
        listens = rule_engine_with(rule(hears, "listens", (CallLogged, NoteAdded)))
        keeper = ContactRefresher(AccountStore(store, ACCOUNT), self.crm, clock(), filter_enabled=True)  # type: ignore[arg-type]
        self.rules = CurrentRules(listens)
        self.planner = EventProcessor(AccountStore(store, ACCOUNT), self.crm, self.rules, clock(), keeper)  # type: ignore[arg-type]

    def has(self, *deals: DealRecord, unknown: Sequence[DealRecord] = ()) -> None:
        """amoCRM has them all; the mirror knows those that are not ``unknown``."""
        self.crm.rows[DEALS] = [api_row(deal) for deal in (*deals, *unknown)]
        with self.store.write() as connection:
            Mirror(AccountStore(self.store, ACCOUNT)).put(
                connection, [MirroredDeal(deal, NOON) for deal in deals], NOON
            )

    def shows(self, *deals: int) -> None:
        """What amoCRM answers when it is asked for these alone."""
        self.crm.rows[DEALS] = [row for row in self.crm.rows[DEALS] if row["id"] in deals]

    def knows(self, contact: int, *deals: int) -> None:
        with self.store.write() as connection:
            one = MirroredContact(id=contact, name="Анна", deal_ids=deals, updated_at=NOON)
            ContactIndex(AccountStore(self.store, ACCOUNT)).put(connection, [one], NOON)

    def told(self, *heard: Event) -> None:
        with self.store.write() as connection:
            add_events(connection, ACCOUNT, list(heard), NOON.timestamp())
        while self.planner.process():
            pass

    def heard_on(self, *deals: int) -> Mapping[int, list[str]]:
        """Deal → what the rule said there."""
        journal = Journal(AccountStore(self.store, ACCOUNT))
        return {deal: [row.reason for row in journal.of_deal(deal) if row.rule] for deal in deals}


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


def test_it_is_told_on_each_open_deal_whose_main_contact_he_is(office: Office) -> None:
    office.has(of(ANNA, 7), of(ANNA, 8, LOST), of(BLOGGER, 9, other=ANNA), of(ANNA, 10))
    office.shows(7, 10)
    office.knows(ANNA, 7, 8, 9, 10)
    office.told(call())
    assert office.heard_on(7, 8, 9, 10) == {7: ["слышит 7"], 8: [], 9: [], 10: ["слышит 10"]}
    assert office.crm.asked == [("GET", DEALS)], "the deals, all at once; the contact is known"


@pytest.mark.parametrize(
    ("deal", "says"),
    [
        pytest.param(of(ANNA, 7), "слышит 7", id="his"),
        pytest.param(of(ANNA, 7, LOST), "звонок на карточке контакта, а сделка закрыта", id="closed"),
        pytest.param(
            of(BLOGGER, 7, other=ANNA), "звонок на карточке контакта, который в сделке не главный", id="another's"
        ),
    ],
)
def test_a_deal_that_the_mirror_has_not_met_is_judged_by_a_fresh_read(
    office: Office, deal: DealRecord, says: str
) -> None:
    office.has(unknown=[deal])
    office.knows(ANNA, 7)
    office.told(call())
    rows = Journal(AccountStore(office.store, ACCOUNT)).of_deal(7)
    assert [row.reason for row in rows if row.reason] == [says]
    assert rows[0].what == "исходящий звонок, 0 с (на карточке контакта)"


def test_people_whom_the_index_has_not_met_are_asked_for_together(office: Office) -> None:
    office.has(of(ANNA, 7), of(BLOGGER, 9))
    office.crm.rows[CONTACTS] = [
        {"id": number, "name": "Анна", "updated_at": int(NOON.timestamp()), "_embedded": {"leads": [{"id": deal}]}}
        for number, deal in ((ANNA, 7), (BLOGGER, 9))
    ]
    office.told(call(1), call(2, BLOGGER), call(3, at=at(60)))
    assert office.heard_on(7, 9) == {7: ["слышит 7", "слышит 7"], 9: ["слышит 9"]}
    assert office.crm.asked == [("GET", CONTACTS), ("GET", DEALS)]


def test_a_call_told_again_is_one(office: Office) -> None:
    office.has(of(ANNA, 7))
    office.knows(ANNA, 7)
    office.told(call())
    office.told(call(), call(caught_up=True))
    assert office.heard_on(7) == {7: ["слышит 7"]}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(call(contact=99), id="nobody knows him"),
        pytest.param(call(entity_type="company"), id="a company's card"),
        pytest.param(call(note_id=None), id="a call without a name"),
    ],
)
def test_what_is_about_no_deal(office: Office, event: CallLogged) -> None:
    office.has(of(ANNA, 7))
    office.knows(ANNA, 7)
    office.told(event)
    assert office.heard_on(7) == {7: []}


def test_where_no_rule_listens_to_calls_nobody_is_asked_for(office: Office) -> None:
    office.rules.replace(rule_engine_with(rule(hears, "deaf", StageEntered)))
    office.told(call())
    assert office.crm.asked == []


# --- commands in notes ------------------------------------------------------------------------------------------------


def note(text: str, number: int = 1) -> NoteAdded:
    return NoteAdded(at=NOON, note_id=number, note_type=4, user_id=5, entity_type="contact", entity_id=ANNA, text=text)


@pytest.mark.parametrize(
    ("deals", "heard"),
    [
        pytest.param([of(ANNA, 7), of(ANNA, 8), of(ANNA, 9, LOST)], {7: [], 8: ["слышит 8"], 9: []}, id="newest open"),
        pytest.param([of(ANNA, 7, LOST), of(ANNA, 8, LOST)], {7: [], 8: ["слышит 8"]}, id="only closed ones"),
        pytest.param([of(BLOGGER, 7, other=ANNA)], {7: ["слышит 7"]}, id="not the main one"),
    ],
)
def test_a_command_on_a_contact_is_about_one_deal(
    office: Office, deals: list[DealRecord], heard: dict[int, list[str]]
) -> None:
    office.has(*deals)
    office.knows(ANNA, *heard)
    office.told(note("/клиенту да"), note("/клиенту да"))
    assert office.heard_on(*heard) == heard


def test_another_note_on_a_contact_is_about_none(office: Office) -> None:
    office.has(of(ANNA, 7))
    office.knows(ANNA, 7)
    office.told(note("Клиент просил перезвонить"))
    assert office.heard_on(7) == {7: []}
    assert office.crm.asked == []
