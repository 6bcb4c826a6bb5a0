"""Rules of auto-dial without I/O: when the next call may be made, how a dial goes on after a call.

The manager did not take it: again in half an hour, then every hour. The client was not reached: in an hour, counted
apart. They talked: silent for the rest of this working day and the next one. All by the config's ``[dial]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from amo_bridge.channels.dial_log import Dial, DialCall
from amo_bridge.config.channels import DialSection
from amo_bridge.dates.calendar import WorkCalendar, parse_timezone
from amo_bridge.dates.duration import describe
from amo_bridge.events.calls import is_talk
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.deal import Touch
from amo_bridge.text.addresses import country_of, numbers_in
from amo_bridge.text.typography import nested_quotes

_OFFSET = re.compile(r"(?:(мск|msk)|utc|gmt)?\s*([+-−–]?)\s*(\d{1,2})?(?::?(\d{2}))?", re.IGNORECASE)
_MOSCOW_HOURS = 3
_MOST_WINDOWS = 60
"""Openings that are tried until manager and client both work."""
BEFORE_OWN, AFTER_OWN = timedelta(minutes=2), timedelta(minutes=5)
"""A call on the card within this time of our own talk is its note."""


# --- when ------------------------------------------------------------------------------------------------------------


def zone_in(text: str) -> tzinfo | None:
    """A time zone as people write it: «Asia/Omsk», «МСК+4», «UTC+7», «+5»; None for what is none."""
    text = text.strip()
    found = _OFFSET.fullmatch(text)
    if found and any(found.groups()):
        is_moscow, sign, hours, minutes = found.groups()
        shift = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign in ("-", "−", "–") else 1)
        whole = shift + timedelta(hours=_MOSCOW_HOURS if is_moscow else 0)
        return timezone(whole) if abs(whole) <= timedelta(hours=14) else None
    try:
        return ZoneInfo(parse_timezone(text)) if text else None
    except ValueError:
        return None


def first_hour(moment: datetime, calendar: WorkCalendar, options: DialSection, client: tzinfo | None) -> datetime:
    """The first moment from this one on (UTC) at which the agency works and it is no time of rest for the client.
    ``client``: his zone, None where it is not known. Raises ValueError if there is none within two weeks."""
    zone = client or calendar.timezone
    for _ in range(_MOST_WINDOWS):
        moment = calendar.add_working(moment, timedelta())
        local = moment.astimezone(zone)
        minutes = local.hour * 60 + local.minute
        if options.client_hours.start <= minutes < options.client_hours.end:
            return moment
        day = local.date() + timedelta(days=1 if minutes >= options.client_hours.end else 0)
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        moment = (midnight + timedelta(minutes=options.client_hours.start)).astimezone(UTC)
    raise ValueError("часы работы агентства и часы клиента не пересекаются")


def after_talk(moment: datetime, calendar: WorkCalendar) -> datetime:
    """When it may call again after a talk: this working day and the next one are silent."""
    next_day = calendar.next_working_day(calendar.local(moment).date())
    return calendar.open_of(calendar.next_working_day(next_day))


def next_working_morning(moment: datetime, calendar: WorkCalendar) -> datetime:
    return calendar.open_of(calendar.next_working_day(calendar.local(moment).date()))


# --- whom ------------------------------------------------------------------------------------------------------------


def number_to_dial(phones: Iterable[str], options: DialSection, home: str) -> str | None:
    """The first of a contact's numbers that is of a country which is dialled; None if there is none."""
    found = [number for cell in phones for number in numbers_in(cell, home or "RU")]
    return next((number for number in found if country_of(number) in options.countries), None)


def has_numbers(phones: Iterable[str], home: str) -> bool:
    """Is there any number that can be read?"""
    return any(numbers_in(cell, home or "RU") for cell in phones)


def talk_by_hand(
    touches: Iterable[Touch], calls: Sequence[DialCall], since: datetime, talk_seconds: int
) -> Touch | None:
    """The first talk since then that auto-dial has not arranged: a person has called, or the client. The exchange may
    note our own calls on the card as well."""
    ours = [call for call in calls if call.is_in_flight or call.state in ("talked", "unknown")]
    refs = {ref for call in calls if call.vendor_ref for ref in (call.vendor_ref, f"session:{call.vendor_ref}")}
    return next(
        (
            touch
            for touch in touches
            if touch.kind == "call"
            and touch.at > since
            and is_talk(touch, talk_seconds)
            and touch.uniq not in refs
            and not any(_is_note_of(touch, call) for call in ours)
        ),
        None,
    )


def _is_note_of(touch: Touch, call: DialCall) -> bool:
    over = (call.settled_at or call.asked_at) + AFTER_OWN
    return touch.direction == "out" and call.asked_at - BEFORE_OWN <= touch.at <= over


# --- what comes after a call ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How a dial goes on. ``next_at``: the earliest next call; None: it is over, or (``is_undecided``) a person has to
    say how. ``note``: left on the deal, once; ``task``: set for the manager."""

    words: str
    why: str
    next_at: datetime | None = None
    manager_misses: int = 0
    client_misses: int = 0
    silent_until: datetime | None = None
    is_undecided: bool = False
    note: str = ""
    task: str = ""


def progress(dial: Dial, call: DialCall, options: DialSection, calendar: WorkCalendar) -> Progress:
    """After a call that has ended."""
    asked = calendar.local(call.asked_at).strftime("%H:%M")
    reason = f" ({call.words})" if call.words else ""
    match call.state:
        case "talked" if call.seconds >= options.talk_seconds or call.told_by not in ("webhook", "history"):
            talk = f"поговорили, {call.seconds} с" if call.seconds else f"поговорили{reason}"
            until = after_talk(call.asked_at, calendar)
            day = calendar.local(until).strftime("%d.%m")
            return Progress(f"звонок в {asked}: {talk}", f"поговорили, тишина до {day}", until, silent_until=until)
        case "talked":
            words = f"разговор {call.seconds} с, короче {options.talk_seconds} с: не разговор"
            return _missed_client(dial, call, options, f"звонок в {asked}: {words}")
        case "client":
            return _missed_client(dial, call, options, f"звонок в {asked}: клиент не ответил{reason}")
        case "manager":
            misses = dial.manager_misses + 1
            wait = options.manager_retry[0 if misses == 1 else 1]
            words = f"звонок в {asked}: менеджер не взял трубку{reason}"
            why = f"менеджер не взял трубку, ещё раз через {describe(wait)}"
            return Progress(words, why, call.asked_at + wait, misses, dial.client_misses)
        case "wrong":
            task = f"Автодозвон не смог позвонить: {call.words or 'номера не существует'}. Проверьте телефон клиента"
            words = f"звонок в {asked}: {call.words or 'номера не существует'}"
            return Progress(words, "номера клиента не существует", task=task)
        case "refused":
            wait = options.client_retry
            words = f"звонок в {asked}: АТС отказала{reason}"
            why = nested_quotes(f"АТС отказала: {call.words}")
            return Progress(words, why, call.asked_at + wait, dial.manager_misses, dial.client_misses)
        case _:
            task = (
                f"Автодозвон: АТС не сказала, состоялся ли звонок клиенту в {asked}. "
                "Решите на странице «Дозвон» моста: до этого мост не звонит"
            )
            words = f"звонок в {asked}: НЕИЗВЕСТНО, состоялся ли{reason}; решает человек на странице «Дозвон»"
            why = "неизвестно, состоялся ли последний звонок: решает человек"
            return Progress(words, why, None, dial.manager_misses, dial.client_misses, is_undecided=True, task=task)


def _missed_client(dial: Dial, call: DialCall, options: DialSection, words: str) -> Progress:
    misses = dial.client_misses + 1
    is_noted = misses == options.unanswered_note
    note = f"Автодозвон: клиент не ответил, звонков подряд: {misses}" if is_noted else ""
    why = f"клиент не ответил, раз: {misses}; ещё раз через {describe(options.client_retry)}"
    return Progress(words, why, call.asked_at + options.client_retry, 0, misses, note=note)
