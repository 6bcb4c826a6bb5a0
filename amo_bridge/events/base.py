"""The base class of all events: what the engine asks of an event, with the answers that fit most.

A class of events answers for itself: its deal, its keys, its words in the journal, the touch that it is. The engine has
no table of classes, so a new kind is written in one place (docs/add-an-event.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from amo_bridge.lazy.dataclasses import dataclass

__all__ = [
    "Card",
    "Event",
    "FieldValue",
    "Origin",
    "TouchKind",
    "TouchRecord",
]

NOTHING: Mapping[str, Any] = MappingProxyType({})
HOUR_SECONDS, DAY_SECONDS = 3600, 86400

Card = tuple[str, int]
"""A card that touches are counted on: (deal, contact or company; its id)."""
CARD_TYPES = ("deal", "contact", "company")
TouchKind = Literal["call", "mail", "chat", "sms", "task", "move"]


@dataclass(frozen=True, kw_only=True)
class TouchRecord:
    """One contact with a client, or one piece of work on a deal, as the mirror stores it.

    ``key``: equal for a repetition, whoever reports it. ``direction``: in is the client's, out is ours, empty for tasks
    and moves. ``seconds`` (None: unknown), ``status``, ``phone``, ``uniq``, ``result``: of a call. ``contact_id``,
    ``text``, ``files``, ``file_names``: not stored; what an answer of the client says besides. ``no_answer``,
    ``doubt``: why it is none of the client's, or may be none; then it is no touch and not stored either.
    """

    key: str
    kind: TouchKind
    direction: str
    at: datetime
    card: Card
    user_id: int | None = None
    seconds: int | None = 0
    status: int | None = None
    phone: str | None = None
    uniq: str | None = None
    result: str | None = None
    contact_id: int | None = None
    text: str = ""
    files: int = 0
    file_names: tuple[str, ...] = ()
    no_answer: str = ""
    doubt: str = ""

    @property
    def is_contact(self) -> bool:
        """Is it known to be between people?"""
        return not self.no_answer and not self.doubt


def card_of(entity_type: str | None, entity_id: int | None) -> Card | None:
    """The card, if touches are counted on it."""
    return (entity_type, entity_id) if entity_type in CARD_TYPES and entity_id is not None else None


def deal_of_card(entity_type: str | None, entity_id: int | None) -> int | None:
    """The deal, if the card is a deal's."""
    return entity_id if entity_type == "deal" else None


Origin = Literal["webhook", "reconciliation", "bridge", "timer", "enquiry", "mail", "ads", "import", "person", "api"]
"""What made rules be asked: amoCRM's webhook; reconciliation; a write of the bridge's own; the clock; an enquiry from a
site, a telephone exchange or a messenger; a letter or what a mail service said of one; statistics of advertising; an
import of attendees; a person on a page; a program by the API."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. Subclasses are plain data; the properties below are what the engine stores of them.

    ``at``: when, by amoCRM; None if it does not say. ``caught_up``: no webhook reported it, reconciliation found it.
    ``made_by``: the ``Origin`` of one that the bridge queued itself, where neither its kind nor ``caught_up`` says it.
    ``raw``: the part of the body that it was decoded from, for people and for later; rules never read it.
    """

    at: datetime | None = None
    account_id: int | None = None
    caught_up: bool = False
    made_by: str = ""
    raw: Mapping[str, Any] = field(default_factory=lambda: NOTHING, repr=False, compare=False, hash=False)

    happens_once: ClassVar[bool] = False
    """Whatever has the same ``dedup_key`` is a repetition, however late it comes. Otherwise an event without a time
    (``at``) is one only as long as amoCRM redelivers webhooks."""

    usual_origin: ClassVar[Origin] = "webhook"
    """What brings events of this kind, unless reconciliation found one or the bridge itself made it."""

    @property
    def started_by(self) -> str:
        """What brought it, an ``Origin``; of a later version's event perhaps another word."""
        return self.made_by or ("reconciliation" if self.caught_up else self.usual_origin)

    @property
    def about_deal_id(self) -> int | None:
        """The deal in whose queue the event waits and on which rules are evaluated; None: on none."""
        return None

    @property
    def dedup_key(self) -> str | None:
        """Beginning of the key in the event queue, equal for a repetition. None: made of all fields
        (``codec.fingerprint``)."""
        return None

    @property
    def is_repeatable(self) -> bool:
        """May an equal event be news? Then it is only a repetition while the first one is still open."""
        return False

    @property
    def label(self) -> str:
        """What happened, in Russian, for the journal."""
        return type(self).__name__

    @property
    def touch(self) -> TouchRecord | None:
        """The touch that it is; None if it is none."""
        return None

    @property
    def subject(self) -> str:
        """What it is about beside the deal. Of several events about it a rule that has to wait wants the newest."""
        return type(self).__name__

    @property
    def reason_to_ignore(self) -> str:
        """Why no rule is to be evaluated on it, in Russian, for the journal; empty if it counts."""
        return ""

    def event_key(self, queue_key: str) -> str:
        """Key under which it is acted on, the same however often it is evaluated. ``queue_key``: the key of the queued
        event that it is or follows from."""
        return queue_key


@dataclass(frozen=True, kw_only=True)
class FieldValue:
    """One filled custom field as a webhook reports it. Values are (text, enum id or None) pairs."""

    field_id: int
    name: str = ""
    code: str | None = None
    values: tuple[tuple[str, int | None], ...] = ()
