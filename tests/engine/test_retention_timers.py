"""Steps that fired long ago: they go when nobody can want them again, and are never done twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete
from support.fakes import ACCOUNT, BRIEF, MEETING, scheduled
from support.timer_player import Clockmaker, ladder, on

from amo_bridge.config.model import BridgeSection
from amo_bridge.engine import retention
from amo_bridge.engine.retention import Retention
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import deals, events

KEEP = BridgeSection(keep_journal=timedelta(days=90), keep_hooks=timedelta(days=14))
A_DAY_LATER = 90_000.0


@pytest.fixture
def maker(store: Store) -> Clockmaker:
    """Three deals whose first step has fired, 100 days ago."""
    made = Clockmaker(store)
    made.ticks()
    made.sees(on(BRIEF, 7), on(BRIEF, 8), on(BRIEF, 9))
    made.hands.advance(timedelta(days=1, hours=1))
    made.ticks()
    assert made.timers() == [(deal, *step) for deal in (7, 8, 9) for step in (("1 d", "fired"), ("3 d", "open"))]
    return made


def tidy(maker: Clockmaker, days: float = 100) -> int:
    maker.hands.advance(timedelta(days=days))
    told = Retention(AccountStore(maker.store, ACCOUNT), maker.hands, KEEP, lambda: maker.timetable).tidy()
    return sum(rows for table, rows in told if table == "timers")


def fired(maker: Clockmaker) -> list[int]:
    return [deal for deal, _, state in maker.timers() if state == "fired"]


def test_what_the_deal_still_stands_for_stays_and_is_not_done_again(maker: Clockmaker) -> None:
    assert tidy(maker) == 0
    before = len(maker.fired())
    with maker.store.write() as connection:
        # The events, which know their keys, go much sooner.
        connection.execute(delete(events))
    maker.sees(on(BRIEF, 7), on(BRIEF, 8), on(BRIEF, 9))
    maker.ticks()
    told = [step for _, step, _ in maker.fired()]
    assert (before, told) == (3, ["3 d"] * 3)


def test_a_deal_that_has_left_its_stage_or_is_gone_needs_it_no_more(maker: Clockmaker) -> None:
    maker.sees(on(MEETING, 7, since=A_DAY_LATER), on(BRIEF, 8, is_deleted=True))
    with maker.store.write() as connection:
        connection.execute(delete(deals).where(deals.c.deal_id == 9))
    assert tidy(maker, days=80) == 0, "not old enough"
    assert fired(maker) == [7, 8, 9]
    assert tidy(maker, days=20) == 3
    assert fired(maker) == []


def test_what_a_rule_would_want_that_is_off_or_fails_nobody_can_tell(maker: Clockmaker) -> None:
    def broken(*told: object) -> list[object]:
        raise ZeroDivisionError

    maker.sees(on(MEETING, 7, since=A_DAY_LATER))
    maker.starts(scheduled(ladder, name="another"))
    assert tidy(maker) == 0
    maker.starts(scheduled(broken))  # type: ignore[arg-type]
    assert tidy(maker, days=1) == 0
    assert fired(maker) == [7, 8, 9]
    maker.starts(scheduled(ladder))
    assert tidy(maker, days=1) == 1


def test_many_go_in_portions(maker: Clockmaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "TIMER_BATCH_SIZE", 2)
    maker.sees(*(on(MEETING, deal, since=A_DAY_LATER) for deal in (7, 9)))
    assert tidy(maker) == 2
    assert fired(maker) == [8]


def test_without_a_timetable_they_stay(maker: Clockmaker) -> None:
    """``amo-bridge tidy`` works beside the bridge and knows none."""
    maker.sees(on(MEETING, 7, since=A_DAY_LATER))
    maker.hands.advance(timedelta(days=100))
    tables = {table for table, _ in Retention(AccountStore(maker.store, ACCOUNT), maker.hands, KEEP).tidy()}
    assert "timers" not in tables
    assert fired(maker) == [7, 8, 9]
