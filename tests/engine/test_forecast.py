"""What is shown of a rule before it is switched on is what the engine then does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT, BRIEF, NEW, NOON, at, clock, record, rule_engine_with, timetable_of

from amo_bridge.clock import FixedClock
from amo_bridge.engine.forecast import ExistingDeals
from amo_bridge.engine.scheduler import Scheduler
from amo_bridge.engine.timers import Timers
from amo_bridge.events import CallLogged, MailLogged
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.touches import record_touches
from amo_bridge.rules.handler import MARK, Rule
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import timers
from schedules.stage_ladder import StageLadder, stage_ladder
from schedules.unanswered_client_is_escalated import UnansweredClientIsEscalated, unanswered_client_is_escalated

DAY = 86_400
CHOICES = ("skip", "from now", "catch up")
STEPS = [
    {"after": "1 d", "tags": ["бриф ждут"], "violation": {"clause": "M7", "person": "manager", "penalty": 500}},
    {"after": "5 d", "tags": ["бриф всё ждут"]},
]


def ladder(existing: str, enabled: bool = True) -> Rule:
    options = StageLadder.model_validate({"stages": [BRIEF], "steps": STEPS, "existing": existing})
    return Rule(handler=getattr(stage_ladder, MARK), block="probe", options=options, enabled=enabled)


class Account:
    """A store, a clock, and a ladder that is switched on and off."""

    def __init__(self, store: Store, existing: str) -> None:
        self.store, self.existing, self.hands = store, existing, FixedClock(NOON)
        self.switch(on=False)

    def switch(self, *, on: bool) -> None:
        self.timetable = timetable_of(ladder(self.existing, on), hands=self.hands)
        self.clockwork = Scheduler(AccountStore(self.store, ACCOUNT), self.hands, clock())
        self.clockwork.begin(self.timetable)
        self.tick()

    def tick(self) -> None:
        self.clockwork.tick(self.tick)

    def comes(self, deal_id: int) -> None:
        copy = MirroredDeal(record(BRIEF, deal_id), self.hands.now())
        with self.store.write() as connection:
            Mirror(AccountStore(self.store, ACCOUNT)).put(connection, [copy], self.hands.now())
            Timers(ACCOUNT).follow(connection, self.timetable, [copy])

    def wait(self, days: float) -> None:
        self.hands.advance(timedelta(days=days))
        self.tick()

    def preview(self, existing: str | None = None) -> dict[int, list[tuple[str, str, float]]]:
        """Deal → its steps: name, what becomes of it, how many days after noon."""
        rule = ladder(existing or self.existing, enabled=False)
        found = ExistingDeals(AccountStore(self.store, ACCOUNT), rule_engine_with(rule), self.hands.now()).of(rule)
        plans = {deal.deal_id: deal.choices[existing or self.existing] for deal in found}
        return {
            number: [(one.step, one.fate, (one.due - NOON) / timedelta(days=1)) for one in steps]
            for number, steps in plans.items()
            if steps
        }

    def rows(self) -> dict[tuple[int, str], tuple[str, float]]:
        """(deal, step) → its state and when it is due, in days after noon."""
        with self.store.read() as connection:
            return {
                (row.deal_id, row.step): (row.state, (row.due_at - NOON.timestamp()) / DAY)
                for row in connection.execute(select(timers))
            }


def lived(store: Store, existing: str) -> Account:
    """Deal 1 was there before; the ladder was on from the 2nd to the 5th day, 2 came on the 2nd, 3 late on the
    4th; 4 came while it was off; now it is the 7th."""
    account = Account(store, existing)
    account.comes(1)
    account.wait(2)
    account.switch(on=True)
    account.comes(2)
    account.wait(2.5)
    account.comes(3)
    account.wait(0.5)
    account.switch(on=False)
    account.wait(1)
    account.comes(4)
    account.wait(1)
    return account


def test_never_on_each_choice_is_what_the_table_says(store: Store) -> None:
    account = Account(store, "skip")
    account.comes(1)
    account.wait(2)
    assert account.preview("skip") == {}
    assert account.preview("from now") == {1: [("1 d", "later", 3), ("5 d", "later", 7)]}
    assert account.preview("catch up") == {1: [("1 d", "at once", 2), ("5 d", "later", 5)]}


@pytest.mark.parametrize("existing", CHOICES)
def test_what_is_shown_is_what_the_engine_does(store: Store, existing: str) -> None:
    account = lived(store, existing)
    shown = account.preview()
    fired_before = {key for key, (state, _) in account.rows().items() if state == "fired"}
    account.switch(on=True)
    rows = account.rows()
    told = {(deal, step): (fate, due) for deal, steps in shown.items() for step, fate, due in steps}
    assert {key for key, (fate, _) in told.items() if fate == "done"} <= fired_before
    fresh = {key: row for key, row in rows.items() if key not in fired_before}
    assert {key: due for key, (_, due) in fresh.items()} == {
        key: due for key, (fate, due) in told.items() if fate != "done"
    }
    for key, (state, _) in fresh.items():
        assert state == ("open" if told[key][0] == "later" else "fired")


@pytest.mark.parametrize(
    ("existing", "shown"),
    [
        pytest.param("skip", {}, id="не трогать"),
        pytest.param("from now", {4: [("1 d", "later", 8.0), ("5 d", "later", 12.0)]}, id="с включения"),
        pytest.param("catch up", {4: [("1 d", "at once", 7.0), ("5 d", "later", 11.0)]}, id="догнать"),
    ],
)
def test_a_deal_that_came_while_the_rule_was_off_was_there_before_it(
    store: Store, existing: str, shown: dict[int, Any]
) -> None:
    found = lived(store, existing).preview()
    assert {number: steps for number, steps in found.items() if number == 4} == shown


def test_what_was_counted_before_the_pause_goes_on_and_what_is_done_is_told_as_done(store: Store) -> None:
    found = lived(store, "skip").preview()
    assert found[2] == [("1 d", "done", 3.0), ("5 d", "at once", 7.0)]
    assert 1 not in found


def test_a_step_whose_moment_passed_while_the_rule_was_off_is_old_too(store: Store) -> None:
    found = lived(store, "skip").preview()
    assert found[3] == [("5 d", "later", 9.5)], (
        "its first step was due in the middle of the 5th day, when the rule was off"
    )
    assert lived_again(store).preview("catch up")[3][0] == ("1 d", "at once", 7.0)


def lived_again(store: Store) -> Account:
    """The same account as it stands."""
    account = Account.__new__(Account)
    account.store, account.existing, account.hands = store, "catch up", FixedClock(NOON + timedelta(days=7))
    return account


def test_what_is_caught_up_on_long_after_the_rule_was_switched_on_is_too_late(store: Store) -> None:
    account = Account(store, "skip")
    account.comes(1)
    account.wait(2)
    account.switch(on=True)
    account.wait(2)
    assert account.preview("catch up") == {1: [("1 d", "too late", 2), ("5 d", "later", 5)]}


def test_every_pause_counts_and_a_moment_off_is_none(store: Store) -> None:
    account = Account(store, "skip")
    for number in (1, 2):
        account.switch(on=True)
        account.wait(1)
        account.switch(on=False)
        account.comes(number)
        account.wait(1)
    account.switch(on=True)
    account.switch(on=False)
    account.switch(on=True)
    assert account.rows() == {}
    account.comes(3)
    assert set(account.rows()) == {(3, "1 d"), (3, "5 d")}


def test_a_violation_that_a_step_would_write_down_is_told(store: Store) -> None:
    account = Account(store, "catch up")
    account.comes(1)
    account.wait(2)
    rule = ladder("catch up", enabled=False)
    (deal,) = ExistingDeals(AccountStore(store, ACCOUNT), rule_engine_with(rule), account.hands.now()).of(rule)
    first, second = deal.choices["catch up"]
    assert (first.violates, second.violates) == (True, False)
    assert first.to_json()["fate"] == "at once"


def test_deals_elsewhere_and_deleted_ones_are_not_told_of(store: Store) -> None:
    account = Account(store, "catch up")
    copies = [MirroredDeal(record(NEW, 1), at(0)), MirroredDeal(replace(record(BRIEF, 2), is_deleted=True), at(0))]
    with store.write() as connection:
        Mirror(AccountStore(store, ACCOUNT)).put(connection, copies, NOON)
    assert account.preview() == {}


def test_clients_who_wait_for_an_answer_are_shown_before_the_rule_is_switched_on(store: Store) -> None:
    """Counted from the first letter, though a call in vain came before it; what is shown is what is planned."""
    account = AccountStore(store, ACCOUNT)
    about: dict[str, Any] = {"entity_type": "deal", "entity_id": 1, "direction": "in", "user_id": 0}
    written = [
        CallLogged(at=NOON, note_id=1, **about),
        MailLogged(at=at(1800), note_id=2, sender="anna@client.test", subject="Когда отчёт?", **about),
    ]
    copies = [MirroredDeal(record(BRIEF, number), at(0)) for number in (1, 2)]
    with store.write() as connection:
        Mirror(account).put(connection, copies, NOON)
        record_touches(connection, ACCOUNT, written)
    step = {"after": "1 h", "tags": ["ждёт"]}
    options = {"kinds": ["mail"], "steps": [step], "existing": "catch up"}
    chosen = UnansweredClientIsEscalated.model_validate(options)
    rule = Rule(handler=getattr(unanswered_client_is_escalated, MARK), block="probe", options=chosen, enabled=True)
    now = at(2400)
    (shown,) = ExistingDeals(account, rule_engine_with(rule), now).of(rule)
    assert (shown.deal_id, [one.due for one in shown.choices["catch up"]]) == (1, [at(5400)])
    Scheduler(account, FixedClock(now), clock()).begin(timetable_of(rule, hands=FixedClock(now)))
    with store.write() as connection:
        Timers(ACCOUNT).follow(connection, timetable_of(rule, hands=FixedClock(now)), copies)
    with store.read() as connection:
        assert [(row.deal_id, row.due_at) for row in connection.execute(select(timers))] == [(1, at(5400).timestamp())]
