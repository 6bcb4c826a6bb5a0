"""What each person has done: new clients, talks, letters, sales, each counted once; on both stores."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from support.fakes import ACCOUNT

from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.records import DealRecord
from amo_bridge.events import Card, TouchRecord
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.touches import add_touches
from amo_bridge.reports.kpi import Figures, per_day, summed
from amo_bridge.storage.database import AccountStore, Store

IVAN, MARIA, BRIDGE = 11, 12, 99
MONDAY, TUESDAY = date(2026, 11, 30), date(2026, 12, 1)
MIDNIGHTS = {day: datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=3) for day in (MONDAY, TUESDAY)}
"""In Moscow."""
END = MIDNIGHTS[TUESDAY] + timedelta(days=1)
DEAL: Card = ("deal", 30)
CONTACT: Card = ("contact", 40)


def at(hour: float, day: date = MONDAY) -> datetime:
    """By Moscow's clocks."""
    return MIDNIGHTS[day] + timedelta(hours=hour)


class Office:
    def __init__(self, store: Store) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self._keys = iter(range(10_000))

    def touch(
        self, kind: Any, when: datetime, card: Card = DEAL, who: int = IVAN, way: str = "out", **more: Any
    ) -> None:
        one = TouchRecord(key=f"k{next(self._keys)}", kind=kind, direction=way, at=when, card=card, user_id=who, **more)
        with self.store.write() as connection:
            add_touches(connection, ACCOUNT, [one])

    def call(self, when: datetime, card: Card = DEAL, who: int = IVAN, way: str = "out", **more: Any) -> None:
        self.touch("call", when, card, who, way, **{"seconds": 60, "phone": "+79161234567", **more})

    def deal(self, number: int, status: int, closed_at: datetime | None, price: int, who: int = IVAN) -> None:
        changed = closed_at or at(9)
        record = DealRecord(
            id=number, responsible_user_id=who, price=price, pipeline_id=1, status_id=status, closed_at=closed_at,
            updated_at=changed,
        )  # fmt: skip
        with self.store.write() as connection:
            Mirror(self.store).put(connection, [MirroredDeal(record, changed, ())], changed)

    def knows(self, contact: int, *deals: int) -> None:
        with self.store.write() as connection:
            ContactIndex(self.store).put(connection, [MirroredContact(id=contact, deal_ids=deals)], at(0))

    def on(self, day: date = MONDAY, who: int = IVAN, talk_seconds: int = 30) -> Figures:
        found = per_day(self.store, MIDNIGHTS, END, own_user_id=BRIDGE, talk_seconds=talk_seconds)
        return found[day].get(who, Figures())


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


Act = Callable[[Office], None]


@pytest.mark.parametrize(
    ("act", "wanted"),
    [
        (lambda o: None, {}),
        (lambda o: o.call(at(10)), {"contacts": 1, "worked": 1, "talks": 1}),
        (lambda o: o.call(at(10), way="in"), {"contacts": 1, "worked": 1, "talks": 1}),
        (lambda o: o.call(at(10), seconds=5), {"worked": 1, "unanswered": 1}),
        (lambda o: o.call(at(10), status=6, seconds=0), {"worked": 1, "unanswered": 1}),
        (lambda o: o.call(at(10), seconds=None), {"worked": 1}),
        (lambda o: o.touch("mail", at(10)), {"contacts": 1, "worked": 1, "letters": 1}),
        (lambda o: o.touch("chat", at(10)), {"contacts": 1, "worked": 1, "letters": 1}),
        (lambda o: o.touch("mail", at(10), way="in"), {"worked": 1}),
        (lambda o: o.touch("task", at(10), way=""), {"worked": 1, "tasks": 1}),
        (lambda o: o.touch("move", at(10), way=""), {"worked": 1}),
        (lambda o: o.touch("task", at(10), way="", who=BRIDGE), {}),
        (lambda o: o.call(at(-0.1)), {}),
        (lambda o: o.call(at(23.9)), {"contacts": 1, "worked": 1, "talks": 1}),
        (lambda o: o.call(at(10), who=MARIA), {}),
        (lambda o: o.deal(30, WON, at(12), 5000), {"sales": 1, "amount": 5000}),
        (lambda o: o.deal(30, WON, at(12), 5000, MARIA), {}),
        (lambda o: o.deal(30, WON, at(12, TUESDAY), 5000), {}),
        (lambda o: o.deal(30, WON, at(-24), 5000), {}),
        (lambda o: o.deal(30, LOST, at(12), 5000), {}),
        (lambda o: o.deal(30, 7, None, 5000), {}),
    ],
)
def test_what_counts_for_whom(office: Office, act: Act, wanted: dict[str, int]) -> None:
    act(office)
    found = vars(office.on())
    assert {name: value for name, value in found.items() if value and name != "first_at"} == wanted


def test_one_call_noted_on_two_cards_is_one_and_one_client(office: Office) -> None:
    office.knows(40, 30)
    for card in (DEAL, CONTACT):
        office.call(at(10), card, uniq="pbx-12345678")
    found = office.on()
    assert (found.talks, found.worked, found.contacts) == (1, 1, 1)


@pytest.mark.parametrize(
    ("before", "is_new"),
    [
        (lambda o: o.call(at(-30), CONTACT, MARIA), False),
        (lambda o: o.touch("mail", at(-30), CONTACT, MARIA, "in"), False),
        (lambda o: o.call(at(-30), CONTACT, MARIA, seconds=3), True),
        (lambda o: o.touch("task", at(-30), CONTACT, MARIA, ""), True),
        (lambda o: None, True),
    ],
)
def test_a_client_is_new_until_somebody_has_talked_or_written_with_him(
    office: Office, before: Act, is_new: bool
) -> None:
    office.knows(40, 30)
    before(office)
    office.call(at(10), CONTACT)
    office.call(at(11), DEAL, MARIA)
    office.call(at(12, TUESDAY), CONTACT)
    assert [office.on(MONDAY).contacts, office.on(MONDAY, MARIA).contacts, office.on(TUESDAY).contacts] == [
        is_new,
        0,
        0,
    ]


def test_the_first_thing_of_the_day_is_ones_own(office: Office) -> None:
    office.call(at(8), way="in")
    office.touch("move", at(10.5), way="")
    office.call(at(9.25))
    assert office.on().first_at == at(9.25)


def test_days_are_summed(office: Office) -> None:
    office.call(at(10))
    office.call(at(10, TUESDAY))
    office.deal(31, WON, at(12, TUESDAY), 700)
    found = per_day(office.store, MIDNIGHTS, END, own_user_id=BRIDGE, talk_seconds=30)
    week = summed(found.values())[IVAN]
    assert (week.talks, week.contacts, week.sales, week.amount, week.first_at) == (2, 1, 1, 700, at(10))


def test_how_long_a_talk_is_the_config_says(office: Office) -> None:
    office.call(at(10), seconds=40)
    assert [office.on(talk_seconds=30).talks, office.on(talk_seconds=60).talks] == [1, 0]
