"""A token's end is told a week ahead, to the log and to a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from amo_bridge.clock import FixedClock
from amo_bridge.engine.alerts import TokenExpiryCheck, warning

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=400), ""),
        (timedelta(days=7, seconds=1), ""),
        (timedelta(days=7), "закончится через 7 дн., 30.11.2026"),
        (timedelta(days=1, hours=2), "закончится через 1 дн., 24.11.2026"),
        (timedelta(hours=3), "закончится через 3 ч, 23.11.2026"),
        (timedelta(0), "закончился 23.11.2026"),
        (timedelta(days=-3), "закончился 20.11.2026"),
    ],
)
def test_the_end_is_told_a_week_ahead(left: timedelta, words: str) -> None:
    told = warning((NOW + left).timestamp(), NOW)
    assert words in told
    assert bool(words) == bool(told)


def test_a_token_that_says_nothing_of_its_end_is_no_news() -> None:
    assert warning(None, NOW) == ""


def test_a_person_is_told_while_it_is_near() -> None:
    told: list[tuple[str, str]] = []
    clock = FixedClock(NOW)
    watch = TokenExpiryCheck(lambda: (NOW + timedelta(days=8)).timestamp(), clock, lambda *words: told.append(words))
    watch.run()
    assert told == []
    clock.advance(timedelta(days=2))
    watch.run()
    ((words, about),) = told
    assert words.startswith("доступ к amoCRM закончится через 6 дн.")
    assert about == "token"
