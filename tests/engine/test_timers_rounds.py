"""Rounds in the store: one slot after the other, over downtime, changes of the deal and a round that is switched on
late; on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from support.fakes import BRIEF, NEW, NOON, clock, scheduled
from support.timer_player import Clockmaker, on

from amo_bridge.rules.handler import MARK
from amo_bridge.storage.database import Store
from schedules.regular_round import RegularRound, regular_round

# The hands stand at Monday, 23 November 2026, noon in Moscow.
WEDNESDAY, NEXT_WEDNESDAY, THE_ONE_AFTER = (
    datetime(2026, month, day, 9, tzinfo=UTC) for month, day in ((11, 25), (12, 2), (12, 9))
)
HOUR, DAY = 3600, 86_400


def weekly(**changed: Any) -> Any:
    """The shipped round, every Wednesday noon."""
    told = {"stages": [BRIEF], "steps": [{"name": "раз", "every": "ср 12:00", "note": "раз в неделю"}], **changed}
    how = getattr(regular_round, MARK)
    return scheduled(
        how.steps, "regular_round", options=lambda: RegularRound.model_validate(told), recurs=how.recurs
    )  # fmt: skip


@pytest.fixture
def maker(store: Store) -> Clockmaker:
    made = Clockmaker(store, clock(), weekly())
    made.ticks()
    made.sees(on(BRIEF))
    return made


def fired(maker: Clockmaker) -> list[datetime]:
    maker.ticks()
    return [moment for _, _, moment in maker.fired()]


def test_one_slot_after_the_other_each_once(maker: Clockmaker) -> None:
    assert fired(maker) == []
    maker.hands.move_to(WEDNESDAY)
    assert fired(maker) == fired(maker) == [WEDNESDAY]
    maker.hands.move_to(NEXT_WEDNESDAY)
    assert fired(maker) == [WEDNESDAY, NEXT_WEDNESDAY]


def test_a_slot_that_is_overdue_stays_when_the_deal_changes_before_the_clock_looks(maker: Clockmaker) -> None:
    maker.hands.move_to(WEDNESDAY.replace(hour=11))
    maker.sees(on(BRIEF, name="Ромашка и сыновья"))
    assert fired(maker) == [WEDNESDAY]


def test_a_deal_of_which_nobody_knew_when_the_slot_passed_gets_it_late(maker: Clockmaker) -> None:
    maker.hands.move_to(WEDNESDAY.replace(hour=11))
    maker.sees(on(BRIEF, 8, since=HOUR))
    maker.sees(on(BRIEF, 9, since=2 * DAY + HOUR))
    maker.ticks()
    assert [(deal, moment) for deal, _, moment in maker.fired()] == [(7, WEDNESDAY), (8, WEDNESDAY)]


def test_down_for_two_weeks_all_slots_are_told_of_and_the_next_one_stands_ready(maker: Clockmaker) -> None:
    maker.hands.move_to(THE_ONE_AFTER.replace(hour=20))
    maker.ticks()
    assert fired(maker) == [WEDNESDAY, NEXT_WEDNESDAY, THE_ONE_AFTER]
    assert [state for _, _, state in maker.timers()].count("open") == 1


def test_the_round_ends_with_the_stage_and_goes_on_when_the_deal_is_back(maker: Clockmaker) -> None:
    maker.sees(on(NEW, since=HOUR))
    maker.hands.move_to(WEDNESDAY)
    assert fired(maker) == []
    maker.sees(on(BRIEF, since=3 * DAY))
    maker.hands.move_to(NEXT_WEDNESDAY)
    assert fired(maker) == [NEXT_WEDNESDAY]


def test_restarted_nothing_is_done_again_and_switched_off_nothing_is_left(maker: Clockmaker) -> None:
    maker.hands.move_to(WEDNESDAY)
    assert fired(maker) == [WEDNESDAY]
    maker.starts(weekly())
    assert fired(maker) == [WEDNESDAY]
    maker.starts(weekly(when={"tag": "важный"}))
    assert fired(maker) == [WEDNESDAY], "changed, and planned anew"
    maker.starts()
    assert maker.hands.now() > NOON
    assert [state for _, _, state in maker.timers()] == ["fired"]
