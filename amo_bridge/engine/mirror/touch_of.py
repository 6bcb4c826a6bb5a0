"""Which touch an event is, if it is one; and when the client answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from amo_bridge.engine.mirror.touches import Card, Kind, Noted
from amo_bridge.events import (
    CallLogged,
    DealMoved,
    Event,
    MailLogged,
    MessageReceived,
    NoteReported,
    SmsLogged,
    TaskCompleted,
)

CARDS = ("deal", "contact", "company")
HOUR, DAY = 3600, 86400
NOTES: Mapping[type[NoteReported], Kind] = {CallLogged: "call", MailLogged: "mail", SmsLogged: "sms"}


def touch_of(event: Event) -> Noted | None:
    """The touch, under a key that is the same whoever tells of it; None for everything else."""
    way = next((way for kind, way in _WAYS.items() if isinstance(event, kind)), None)
    return way(event) if way and event.at is not None else None


def _note(event: CallLogged | MailLogged | SmsLogged) -> Noted | None:
    card = card_of(event.entity_type, event.entity_id)
    if card is None or event.note_id is None:
        return None
    seconds = event.seconds if isinstance(event, CallLogged) else 0
    return _noted(
        event, f"note:{event.note_id}", NOTES[type(event)], card, direction=event.direction, seconds=seconds
    )  # fmt: skip


def _message(event: MessageReceived) -> Noted | None:
    card = card_of(event.entity_type, event.entity_id) or card_of("contact", event.contact_id)
    return _noted(event, f"message:{event.message_id}", "chat", card, direction=event.direction) if card else None


def _task(event: TaskCompleted) -> Noted | None:
    card = card_of(event.entity_type, event.entity_id)
    return _noted(event, f"task:{event.task_id}:{_turn(event, DAY)}", "task", card) if card else None


def _move(event: DealMoved) -> Noted | None:
    key = f"move:{event.deal_id}:{event.pipeline_id}.{event.status_id}:{_turn(event, HOUR)}"
    return _noted(event, key, "move", ("deal", event.deal_id))


_WAYS: Mapping[type[Event], Callable[[Any], Noted | None]] = {
    CallLogged: _note,
    MailLogged: _note,
    SmsLogged: _note,
    MessageReceived: _message,
    TaskCompleted: _task,
    DealMoved: _move,
}


def _noted(event: Any, key: str, kind: Kind, card: Card, *, direction: Any = "", seconds: int = 0) -> Noted:
    return Noted(
        key=key, kind=kind, direction=direction, at=event.at, card=card, user_id=event.user_id, seconds=seconds
    )  # fmt: skip


def card_of(kind: str | None, number: int | None) -> Card | None:
    """The card, if it is one that the bridge follows."""
    return (kind, number) if kind in CARDS and number is not None else None


def _turn(event: Event, length: int) -> int:
    """Which hour or day it was. A hook and the events list may date one thing a second apart; and who finishes a task
    twice a day, or puts a deal onto one stage twice an hour, has done it once."""
    assert event.at is not None
    return int(event.at.timestamp()) // length
