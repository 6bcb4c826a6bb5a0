from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine

from amo_bridge.clock import AccountClock, Clock, FixedClock, SystemClock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@time_machine.travel(NOON, tick=False)
def test_the_system_clock_tells_utc() -> None:
    clock: Clock = SystemClock()
    assert clock.now() == NOON
    assert clock.now().tzinfo is UTC


def test_a_fixed_clock_stands_until_it_is_moved() -> None:
    clock = FixedClock(NOON)
    assert clock.now() == clock.now() == NOON
    clock.advance(timedelta(hours=2))
    assert clock.now() == datetime(2026, 11, 23, 14, tzinfo=UTC)
    clock.move_to(NOON.replace(year=2025))
    assert clock.now() == datetime(2025, 11, 23, 12, tzinfo=UTC)


def test_a_fixed_clock_set_in_another_zone_tells_utc() -> None:
    clock = FixedClock(datetime(2026, 11, 23, 15, tzinfo=ZoneInfo("Europe/Moscow")))
    assert clock.now() == NOON
    assert clock.now().tzinfo is UTC


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        FixedClock(NOON.replace(tzinfo=None))


def test_whoever_waits_for_a_time_hears_that_it_is_quite_another() -> None:
    hands = FixedClock(NOON)
    jumps: list[datetime] = []
    clock = AccountClock(hands, jumped=lambda: jumps.append(clock.now()))
    clock.heard(NOON + timedelta(seconds=20))
    assert not jumps, "answers take their time"
    clock.heard(NOON + timedelta(days=3))
    hands.advance(timedelta(minutes=5))
    clock.heard(NOON + timedelta(days=3, minutes=5))
    assert jumps == [NOON + timedelta(days=3)], "told once"
    clock.heard(NOON)
    assert len(jumps) == 2, "also back"
