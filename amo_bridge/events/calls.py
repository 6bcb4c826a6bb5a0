"""Calls: how long one was, whether they talked, and which notes are about one and the same call.

The one place that answers this, for webhooks, for notes read afresh and for touches alike. What people may rely on
stands in docs/what-counts.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

TALK_SECONDS = 30
TALKED = 4
# amoCRM's call_status: left a message, call back later, not there, wrong number, not reached, busy.
NOT_REACHED = frozenset({1, 2, 3, 5, 6, 7})
# What exchanges write as the result of a call without a status.
_NOT_REACHED_WORDS = frozenset(
    {
        "voicemail", "voice mail", "answering machine", "busy", "no answer", "noanswer", "no-answer", "missed",
        "not reached", "failed", "cancel", "canceled", "cancelled", "congestion",
        "автоответчик", "голосовая почта", "занято", "номер занят", "не дозвонился", "недозвон", "не ответил",
        "не отвечает", "нет ответа", "пропущен", "пропущенный", "оставил сообщение", "недоступен",
    }
)  # fmt: skip

# --- length -----------------------------------------------------------------------------------------------------------

_LONGEST_SECONDS = 24 * 3600
_NUMBER = re.compile(r"(\d{1,9})(?:[.,]\d{1,9})?")
_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d)(?:[.,]\d{1,6})?")
_WORDS = re.compile(
    r"(?:(\d{1,2})\s*(?:ч|час|часа|часов|h|hr|hour|hours)\.?\s*)?"
    r"(?:(\d{1,3})\s*(?:м|мин|минута|минуты|минут|m|min|minute|minutes)\.?\s*)?"
    r"(?:(\d{1,5})(?:[.,]\d{1,6})?\s*(?:с|сек|секунда|секунды|секунд|s|sec|second|seconds)\.?)?"
)


def length_of(value: object) -> int | None:
    """Whole seconds of a call's length as an exchange wrote it: 95, 35.6, "00:04:49", "4 мин 49 с".

    None: not said, or not to be understood. Never 0 for what can't be read, as 0 is a missed call.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _sensible(value)
    text = value.strip().casefold() if isinstance(value, str) else ""
    if not text:
        return None
    if found := _NUMBER.fullmatch(text):
        return _sensible(int(found[1]))
    found = _CLOCK.fullmatch(text) or _WORDS.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return _sensible(hours * 3600 + minutes * 60 + seconds)


def _sensible(seconds: float) -> int | None:
    """None for what no call lasts: less than nothing, more than a day (a time of day in Unix seconds)."""
    return int(seconds) if math.isfinite(seconds) and 0 <= seconds <= _LONGEST_SECONDS else None


def describe_length(seconds: int | None) -> str:
    return "длина неизвестна" if seconds is None else f"{seconds} с"


# --- outcome ----------------------------------------------------------------------------------------------------------


class CallFacts(Protocol):
    """What is known of a call. ``seconds``: None when its length is not known. ``result``: the exchange's words."""

    @property
    def direction(self) -> str: ...
    @property
    def at(self) -> datetime | None: ...
    @property
    def seconds(self) -> int | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def phone(self) -> str | None: ...
    @property
    def uniq(self) -> str | None: ...
    @property
    def result(self) -> str | None: ...


C = TypeVar("C", bound=CallFacts)


def is_talk(call: CallFacts, at_least: int = TALK_SECONDS) -> bool:
    """Did they talk? The status goes before the length: half a minute of a voicemail is no talk.

    A call of unknown length is a talk only if its status says so.
    """
    if _is_not_reached(call):
        return False
    return call.status == TALKED if call.seconds is None else call.seconds >= at_least


def is_missed(call: CallFacts, at_least: int = TALK_SECONDS) -> bool:
    """Was the client called in vain? Not so if nothing tells: neither the status nor a length that can be read."""
    if call.direction != "out" or is_talk(call, at_least):
        return False
    return _is_not_reached(call) or call.seconds == 0 or (call.status is None and call.seconds is not None)


def is_unclear(call: CallFacts) -> bool:
    """Does nothing tell whether they talked: neither the status nor the length?"""
    return call.seconds is None and call.status != TALKED and not _is_not_reached(call)


def _is_not_reached(call: CallFacts) -> bool:
    if call.status is not None:
        return call.status in NOT_REACHED
    return (call.result or "").strip().rstrip(".").casefold() in _NOT_REACHED_WORDS


# --- one call, noted several times ------------------------------------------------------------------------------------

# A telephony widget repeats its write, a second integration notes the same call, and amoCRM's and the widget's notes
# stand on the deal and on each contact of that number.
_SAME_SECOND = timedelta(seconds=2)
_SAME_START = timedelta(seconds=10)
# Equal in all else, on two cards: an integration writes them one after the other.
_OTHER_CARD = timedelta(minutes=2)
# Some exchanges give one short id ("0") to all of their calls, others begin to count anew each day.
_SHORT_ID_HOLDS = timedelta(minutes=5)
_ID_HOLDS = timedelta(hours=24)
_SHORTEST_ID = 8
_PHONE_DIGITS = 10
_NEVER = datetime.min.replace(tzinfo=UTC)


def is_same_call(call: CallFacts, other: CallFacts, *, other_card: bool = False) -> bool:
    """Are these two notes about one call? ``other_card``: they stand on different cards.

    By the exchange's id of the call; without one, by phone and start.
    """
    phone, its_phone = _digits(call.phone), _digits(other.phone)
    if call.direction != other.direction or (phone and its_phone and phone != its_phone):
        return False
    if call.at is None or other.at is None:
        return False
    apart = abs(call.at - other.at)
    if call.uniq and call.uniq == other.uniq:
        return apart <= (_ID_HOLDS if len(call.uniq) >= _SHORTEST_ID else _SHORT_ID_HOLDS)
    if phone != its_phone:
        return False
    if call.uniq and other.uniq:
        # Nobody calls one number twice within a second: two ids, two writers.
        return apart <= _SAME_SECOND
    if other_card and call.seconds == other.seconds:
        return apart <= _OTHER_CARD
    return apart <= (_SAME_START if phone else _SAME_SECOND)


def knows_most(call: CallFacts) -> tuple[bool, bool, int]:
    """For ``max``: which of the notes about one call tells most of how it went. An exchange writes the call when it
    begins and once more when it is over."""
    return call.status == TALKED, call.status is not None, -1 if call.seconds is None else call.seconds


def by_call(notes: Iterable[tuple[object, C]]) -> list[list[C]]:
    """The notes, grouped by the call that they are about; calls and notes oldest first. Given are (card, note)."""
    groups: list[list[tuple[object, C]]] = []
    # A day of one person is some hundred calls: only those of the number, or of none, are compared.
    with_phone: dict[str, list[int]] = {}
    for card, note in sorted(notes, key=lambda one: one[1].at or _NEVER):
        phone = _digits(note.phone)
        near = {*with_phone.get(phone, ()), *with_phone.get("", ())} if phone else range(len(groups))
        for number in sorted(near, reverse=True):
            group = groups[number]
            if _is_long_after(note, group[0][1]):
                continue
            if any(is_same_call(note, other, other_card=card != its_card) for its_card, other in group):
                group.append((card, note))
                break
        else:
            number = len(groups)
            groups.append([(card, note)])
        with_phone.setdefault(phone, []).append(number)
    return [[note for _, note in group] for group in groups]


def _is_long_after(note: CallFacts, other: CallFacts) -> bool:
    return note.at is not None and other.at is not None and note.at - other.at > _ID_HOLDS


def _digits(phone: str | None) -> str:
    """The number without its country's prefix, which one writer puts and another does not."""
    return "".join(filter(str.isdigit, phone or ""))[-_PHONE_DIGITS:]
