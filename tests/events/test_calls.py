"""What a call was: its length, whether they talked, and when two notes are about one call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOON

from amo_bridge.events.calls import by_call, is_missed, is_same_call, is_talk, is_unclear, length_of
from amo_bridge.rules.deal import Call


def call(**facts: Any) -> Call:
    return Call(**({"id": 1, "direction": "out", "at": NOON} | facts))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0), (95, 95), (35.6, 35), ("35.6", 35), ("35,6", 35), (" 40 ", 40), ("0", 0),
        ("00:04:49", 289), ("04:49", 289), ("0:00", 0), ("1:02:03", 3723),
        ("4 мин 49 с", 289), ("4 мин. 49 сек.", 289), ("4m49s", 289), ("95 s", 95), ("1 ч", 3600),
        (None, None), ("", None), ("долго", None), (-1, None), ("-5", None), (True, None), (float("nan"), None),
        (float("inf"), None), ([95], None), ({"value": 95}, None), ("00:99", None), ("95 баллов", None),
        (1_700_000_000, None), ("1700000000", None), ("49:04:49", None),
    ],
)  # fmt: skip
def test_length(written: object, seconds: int | None) -> None:
    """What can't be read is unknown: 0 would be a missed call."""
    assert length_of(written) == seconds


TALK, MISSED, UNCLEAR, NEITHER = "talk", "missed", "unclear", "neither"


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({"seconds": 95}, TALK),
        ({"seconds": 95, "status": 4}, TALK),
        ({"seconds": 30}, TALK),
        ({"seconds": 29}, MISSED),
        ({"seconds": 0}, MISSED),
        ({"seconds": 0, "status": 4}, MISSED),
        ({"seconds": 12, "status": 4}, NEITHER),
        ({"seconds": 45, "status": 6}, MISSED),
        ({"seconds": 31, "status": 1}, MISSED),
        ({"seconds": 45, "status": 7}, MISSED),
        ({"seconds": 45, "status": 3}, MISSED),
        ({"seconds": 45, "status": 5}, MISSED),
        ({"seconds": 45, "result": "Voicemail"}, MISSED),
        ({"seconds": 45, "result": "занято"}, MISSED),
        ({"seconds": 45, "result": "Договорились, что автоответчик отключат"}, TALK),
        ({"seconds": 45, "status": 4, "result": "voicemail"}, TALK),
        ({"seconds": None}, UNCLEAR),
        ({"seconds": None, "status": 4}, TALK),
        ({"seconds": None, "status": 6}, MISSED),
        ({"seconds": 0, "direction": "in"}, NEITHER),
        ({"seconds": 95, "direction": "in"}, TALK),
    ],
)
def test_outcome(facts: dict[str, Any], outcome: str) -> None:
    """The status goes before the length, and what nobody can tell is neither a talk nor a missed call."""
    one = call(**facts)
    found = [name for name, asks in ((TALK, is_talk), (MISSED, is_missed), (UNCLEAR, is_unclear)) if asks(one)]
    assert found == ([] if outcome == NEITHER else [outcome])


PHONE = "+79161234567"


@pytest.mark.parametrize(
    ("first", "second", "seconds_later", "is_same"),
    [
        ({"uniq": "abcdef-17"}, {"uniq": "abcdef-17"}, 7200, True),
        ({"uniq": "abcdef-17"}, {"uniq": "abcdef-17", "phone": None}, 7200, True),
        ({"uniq": "abcdef-17"}, {"uniq": "abcdef-17"}, 25 * 3600, False),
        ({"uniq": "abcdef-17"}, {"uniq": "abcdef-17", "phone": "+79990000000"}, 0, False),
        ({"uniq": "abcdef-17"}, {"uniq": "abcdef-17", "direction": "in"}, 0, False),
        ({"uniq": "7"}, {"uniq": "7"}, 120, True),
        ({"uniq": "7"}, {"uniq": "7"}, 3600, False),
        ({"uniq": "abcdef-17"}, {"uniq": "abcdef-18"}, 1, True),
        ({"uniq": "abcdef-17"}, {"uniq": "abcdef-18"}, 5, False),
        ({}, {}, 8, True),
        ({}, {}, 30, False),
        ({"phone": None}, {"phone": None}, 1, True),
        ({"phone": None}, {"phone": None}, 8, False),
        ({"phone": "89161234567"}, {"phone": "+7 916 123-45-67"}, 0, True),
    ],
)
def test_two_notes_of_one_call(
    first: dict[str, Any], second: dict[str, Any], seconds_later: int, is_same: bool
) -> None:
    one = call(**({"phone": PHONE} | first))
    other = call(**({"phone": PHONE, "at": NOON + timedelta(seconds=seconds_later)} | second))
    assert is_same_call(one, other) == is_same_call(other, one) == is_same


def test_notes_are_grouped_whatever_their_order() -> None:
    notes = [
        ("deal", call(id=1, uniq="abcdef-1", phone=PHONE)),
        ("deal", call(id=2, uniq="abcdef-2", phone=PHONE, at=NOON + timedelta(hours=1))),
        ("contact", call(id=3, uniq="abcdef-1", phone=PHONE, at=NOON + timedelta(hours=2))),
        ("deal", call(id=4, uniq="abcdef-3", phone=PHONE, at=NOON + timedelta(days=2))),
    ]
    assert [[one.id for one in group] for group in by_call(notes)] == [[1, 3], [2], [4]]
    assert by_call(reversed(notes)) == by_call(notes)
