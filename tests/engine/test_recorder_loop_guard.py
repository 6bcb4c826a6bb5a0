"""Loop protection: a rule that acts on one deal too often within an hour is held back, and somebody is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.engine import Connection
from support.fakes import ACCOUNT, NOON, effect, record, rule, rule_engine, user, verdict

from amo_bridge.clock import FixedClock
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.dispatcher import EvaluationContext, Verdict
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.recorder import LoopGuard
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.storage.database import AccountStore, Store

MOST = 3


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


def told_by(person: str | None) -> RuleEngine:
    config = rule_engine().config
    return replace(rule_engine(), config=replace(config, bridge=config.bridge.model_copy(update={"tell": person})))


def acts(number: int, deal_id: int = 7, name: str = "rule") -> Verdict:
    said = verdict(effect(deal_id=deal_id), name=name, event_key=f"event {number} on {deal_id}")
    return replace(said, rule=rule(said.rule.handler.judge, name, most_per_hour=MOST))


def case_of(deal_id: int = 7) -> EvaluationContext:
    now = record(deal_id=deal_id)
    return EvaluationContext((), "event", now, Viewer(rule_engine().account, "https://agency.amocrm.ru").deal(now))


def acted(store: Store, clock: FixedClock, times: int, deal_id: int = 7, name: str = "rule") -> None:
    outbox = Outbox(AccountStore(store, ACCOUNT), clock)
    with store.write() as connection:
        for number in range(times):
            outbox.add(connection, number, acts(number, deal_id, name))


def held(connection: Connection, clock: FixedClock, said: Verdict, person: str | None = "head") -> Verdict:
    return LoopGuard(ACCOUNT, told_by(person), clock).check(connection, said, case_of())


def test_up_to_the_limit_a_rule_goes_on(store: Store, clock: FixedClock) -> None:
    acted(store, clock, MOST - 1)
    with store.write() as connection:
        assert held(connection, clock, acts(99)).outcome == "acts"


def test_at_the_limit_it_is_held_back_and_the_head_is_told(store: Store, clock: FixedClock) -> None:
    acted(store, clock, MOST)
    with store.write() as connection:
        said = held(connection, clock, acts(99))
    assert said.outcome == "held"
    assert f"{MOST} раз за час" in said.reason
    (alarm,) = said.effects
    assert alarm.kind == "create_task"
    assert alarm.body["responsible_user_id"] == user("Елена Орлова")
    assert "why 7" in alarm.body["text"]


def test_the_head_is_told_once_an_hour(store: Store, clock: FixedClock) -> None:
    acted(store, clock, MOST)
    outbox = Outbox(AccountStore(store, ACCOUNT), clock)
    with store.write() as connection:
        new = [outbox.add(connection, 100 + n, held(connection, clock, acts(100 + n))) for n in range(3)]
    assert new == [1, 0, 0]


def test_nobody_is_told_when_the_config_names_nobody(store: Store, clock: FixedClock) -> None:
    acted(store, clock, MOST)
    with store.write() as connection:
        said = held(connection, clock, acts(99), person=None)
    assert (said.outcome, said.effects) == ("held", ())


@pytest.mark.parametrize(
    ("times", "deal_id", "name", "later"),
    [
        pytest.param(MOST, 8, "rule", timedelta(0), id="another deal"),
        pytest.param(MOST, 7, "other", timedelta(0), id="another rule"),
        pytest.param(MOST, 7, "rule", timedelta(hours=1, seconds=1), id="more than an hour ago"),
    ],
)
def test_what_does_not_count(
    store: Store, clock: FixedClock, times: int, deal_id: int, name: str, later: timedelta
) -> None:
    acted(store, clock, times, deal_id, name)
    clock.advance(later)
    with store.write() as connection:
        assert held(connection, clock, acts(99)).outcome == "acts"
