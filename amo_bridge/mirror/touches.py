"""Touches: who was in contact with a client, when, and whose turn it was. amoCRM has no such list; hooks and its
events list are gathered here.

A call, a letter or a message counts whoever made it, an answer of a bot in a chat excepted. A finished task and a
moved deal count only when a person did it: not a robot, and not the bridge, which works in its token's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Row, select
from sqlalchemy.engine import Connection

from amo_bridge.crm.account import LOST, WON
from amo_bridge.events import (
    CallLogged,
    ClientAnswered,
    ClientDeleted,
    DealMoved,
    Event,
    MailLogged,
    MessageReceived,
    NoteReported,
    SmsLogged,
    TaskCompleted,
)
from amo_bridge.mirror.contacts import forget_contacts, known_contacts
from amo_bridge.rules.deal import Direction, Touch
from amo_bridge.storage.database import Store, chunks, insert_new, insert_or_replace
from amo_bridge.storage.tables import deals, touches

Card = tuple[str, int]
"""(deal, contact or company; its id)"""
Kind = Literal["call", "mail", "chat", "sms", "task", "move"]
BY_PEOPLE = ("task", "move")


@dataclass(frozen=True, kw_only=True)
class TouchRecord:
    """One touch as it is kept. ``key`` says what it was (a note, a message, …): told twice, it is one."""

    key: str
    kind: Kind
    direction: Direction
    at: datetime
    card: Card
    user_id: int | None = None
    seconds: int = 0

    def row(self, account: int) -> dict[str, Any]:
        return {
            "account": account,
            "key": self.key[:80],
            "kind": self.kind,
            "direction": self.direction,
            "at": self.at.timestamp(),
            "user_id": self.user_id,
            "entity_type": self.card[0],
            "entity_id": self.card[1],
            "seconds": self.seconds,
        }


def add_touches(connection: Connection, account: int, noted: Sequence[TouchRecord]) -> None:
    """Keep those that are not there yet."""
    insert_new(connection, touches, [one.row(account) for one in noted])


def correct_touches(connection: Connection, account: int, noted: Sequence[TouchRecord]) -> None:
    """Keep them as they are told now."""
    by_key = {one.key: one.row(account) for one in noted}
    insert_or_replace(connection, touches, ("account", "key"), list(by_key.values()))


class TouchLog:
    """One account's touches. ``own_user_id``: in whose name the bridge works, if that is known."""

    def __init__(self, store: Store, account: int, own_user_id: int | None = None) -> None:
        self._store = store
        self._account = account
        self._own_user_id = own_user_id

    def on(self, cards: Iterable[Card], since: datetime | None = None) -> dict[Card, list[Touch]]:
        """Card → its touches, oldest first; cards without any are left out. Raises StoreUnavailable."""
        by_type: dict[str, set[int]] = {}
        for kind, number in cards:
            by_type.setdefault(kind, set()).add(number)
        found: dict[Card, list[Touch]] = {}
        with self._store.read() as connection:
            for kind, numbers in by_type.items():
                for row in self._rows(connection, kind, sorted(numbers), since):
                    if self._counts(row):
                        found.setdefault((row.entity_type, row.entity_id), []).append(_touch(row))
        return found

    def _rows(
        self, connection: Connection, kind: str, ids: Sequence[int], since: datetime | None
    ) -> Iterable[Row[Any]]:
        recent = touches.c.at >= (since.timestamp() if since else 0.0)
        for chunk in chunks(ids):
            mine = (touches.c.account == self._account, touches.c.entity_type == kind, touches.c.entity_id.in_(chunk))
            yield from connection.execute(select(touches).where(*mine, recent).order_by(touches.c.at, touches.c.id))

    def _counts(self, row: Row[Any]) -> bool:
        if row.kind in BY_PEOPLE:
            return row.user_id not in (None, 0, self._own_user_id)
        is_bots = row.kind == "chat" and row.direction == "out" and not row.user_id
        return not is_bots


def in_order(of_cards: Mapping[Card, Sequence[Touch]], cards: Iterable[Card]) -> list[Touch]:
    """The touches of several cards together, oldest first."""
    return sorted((touch for card in cards for touch in of_cards.get(card, ())), key=lambda touch: touch.at)


def _touch(row: Row[Any]) -> Touch:
    return Touch(
        kind=row.kind,
        direction=row.direction,
        at=datetime.fromtimestamp(row.at, UTC),
        user_id=row.user_id or None,
        seconds=row.seconds,
    )


# Which touch an event is, if it is one; and when the client answered.

CARDS = ("deal", "contact", "company")
HOUR, DAY = 3600, 86400
NOTES: Mapping[type[NoteReported], Kind] = {CallLogged: "call", MailLogged: "mail", SmsLogged: "sms"}


def touch_of(event: Event) -> TouchRecord | None:
    """The touch, under a key that is the same whoever tells of it; None for everything else."""
    way = next((way for kind, way in _WAYS.items() if isinstance(event, kind)), None)
    return way(event) if way and event.at is not None else None


def _note(event: CallLogged | MailLogged | SmsLogged) -> TouchRecord | None:
    card = card_of(event.entity_type, event.entity_id)
    if card is None or event.note_id is None:
        return None
    seconds = event.seconds if isinstance(event, CallLogged) else 0
    return _noted(
        event, f"note:{event.note_id}", NOTES[type(event)], card, direction=event.direction, seconds=seconds
    )  # fmt: skip


def _message(event: MessageReceived) -> TouchRecord | None:
    card = card_of(event.entity_type, event.entity_id) or card_of("contact", event.contact_id)
    return _noted(event, f"message:{event.message_id}", "chat", card, direction=event.direction) if card else None


def _task(event: TaskCompleted) -> TouchRecord | None:
    card = card_of(event.entity_type, event.entity_id)
    return _noted(event, f"task:{event.task_id}:{_turn(event, DAY)}", "task", card) if card else None


def _move(event: DealMoved) -> TouchRecord | None:
    key = f"move:{event.deal_id}:{event.pipeline_id}.{event.status_id}:{_turn(event, HOUR)}"
    return _noted(event, key, "move", ("deal", event.deal_id))


_WAYS: Mapping[type[Event], Callable[[Any], TouchRecord | None]] = {
    CallLogged: _note,
    MailLogged: _note,
    SmsLogged: _note,
    MessageReceived: _message,
    TaskCompleted: _task,
    DealMoved: _move,
}


def _noted(event: Any, key: str, kind: Kind, card: Card, *, direction: Any = "", seconds: int = 0) -> TouchRecord:
    return TouchRecord(
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


# The client called or wrote: told on the deal, and on each open deal of the contact on whose card it lies.


def answers_in(connection: Connection, account: int, told: Sequence[Event]) -> list[ClientAnswered]:
    """What of this was the client's answer, and on which deals; each once, in the order in which it was told."""
    found = [(event, touch) for event in told if (touch := touch_of(event)) and touch.direction == "in"]
    people = {touch.card[1] for _, touch in found if touch.card[0] == "contact"}
    deals_of = _open_deals(connection, account, people) if people else {}
    answers = []
    for event, touch in found:
        kind, number = touch.card
        for deal_id in [number] if kind == "deal" else deals_of.get(number, ()) if kind == "contact" else ():
            answers.append(
                ClientAnswered(
                    at=event.at,
                    account_id=event.account_id,
                    caught_up=event.caught_up,
                    deal_id=deal_id,
                    by=touch.kind,
                    source=touch.key,
                    contact_id=number if kind == "contact" else getattr(event, "contact_id", None),
                    text=_words(event),
                    files=event.attachments if isinstance(event, MailLogged) else 0,
                )
            )
    return answers


def _words(event: Event) -> str:
    if isinstance(event, MailLogged):
        return event.subject
    return event.text if isinstance(event, MessageReceived | SmsLogged) else ""


def _open_deals(connection: Connection, account: int, contact_ids: Iterable[int]) -> dict[int, list[int]]:
    known = known_contacts(connection, account, contact_ids)
    linked = sorted({deal_id for one in known.values() for deal_id in one.deal_ids})
    are_open = set(_open_ones(connection, account, linked))
    return {one.id: [deal_id for deal_id in one.deal_ids if deal_id in are_open] for one in known.values()}


def _open_ones(connection: Connection, account: int, deal_ids: Sequence[int]) -> Iterator[int]:
    for chunk in chunks(deal_ids):
        mine = (deals.c.account == account, deals.c.deal_id.in_(chunk), deals.c.status_id.not_in((WON, LOST)))
        yield from connection.execute(select(deals.c.deal_id).where(*mine)).scalars()


# What the mirror learns from events as they come in, in the transaction that keeps them.
#
# Deals and contacts are learnt later, by a fresh read; tasks at the door (``task_door``).


def learn(connection: Connection, account: int, told: Sequence[Event]) -> None:
    """Touches are counted; who is deleted is forgotten."""
    touches = [(event.caught_up, touch) for event in told if (touch := touch_of(event))]
    add_touches(connection, account, [touch for caught_up, touch in touches if not caught_up])
    # amoCRM's own list knows who it was; a hook does not always.
    correct_touches(connection, account, [touch for caught_up, touch in touches if caught_up])
    gone = [event.client_id for event in told if isinstance(event, ClientDeleted) and event.kind == "contact"]
    forget_contacts(connection, account, gone)
