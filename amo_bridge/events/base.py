"""The base class of all events, with answers that fit most of them; events as JSON for the store.

A class of events answers for itself: its deal, its keys, its words in the journal, the touch that it is. The engine has
no table of classes, so a new kind is written in one place (docs/add-an-event.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType, UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

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
        (``fingerprint``)."""
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


# --- event ↔ JSON -----------------------------------------------------------------------------------------------------
# For the store, the API and people: ``{"type": "DealMoved", "at": "2024-09-17T11:32:38+00:00", "deal_id": 15318175,
# …}``: the class's name, the fields under their own names, empty ones left out, times ISO-8601 in UTC.


def to_json(event: Event, *, with_raw: bool = False) -> dict[str, Any]:
    """The event, ready for ``json.dumps``. ``with_raw`` adds the part of the webhook that it was made of."""
    data: dict[str, Any] = {"type": type(event).__name__, **dict(_fields_to_json(event))}
    if with_raw and event.raw:
        data["raw"] = dict(event.raw)
    return data


def from_json(data: Mapping[str, Any]) -> Event:
    """The event of which ``to_json`` made this, equal to it in every field.

    Unknown keys are ignored, so that a stored event outlives a field. Raises ValueError if there is no event of that
    type, or a field that it must have is missing.
    """
    kind = _event_type(str(data.get("type")))
    try:
        return kind(**_restored_fields(kind, data))
    except TypeError as error:
        raise ValueError(f"{kind.__name__} can't be restored: {error}") from error


def fingerprint(event: Event) -> str:
    """A key of 32 characters, equal for a repeated webhook and different for a later change.

    It covers the type and all fields; ``raw`` only where the event has no time of its own (deletions, Digital
    Pipeline hooks, calls without an id, the unrecognised), so take it before ``raw`` is dropped. Of such an event
    amoCRM says nothing that distinguishes a repetition from the same thing happening once more (a second letter on the
    same deal has the very same bytes): there, compare keys only within the hours in which amoCRM repeats a webhook.
    """
    data = to_json(event, with_raw=event.at is None)
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def _fields_to_json(instance: Any) -> Iterator[tuple[str, Any]]:
    for known in fields(instance):
        value = getattr(instance, known.name)
        if known.name != "raw" and not (_is_empty(value) and value == _default(known)):
            yield known.name, _value_to_json(value)


def _is_empty(value: Any) -> bool:
    # 0 equals False but is a value: a price, a robot's id.
    return value is False or value in (None, "", ())


def _default(field: Field[Any]) -> Any:
    """The field's default; of a field without one, something that equals nothing."""
    return field.default if field.default is not MISSING else object()


def _value_to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, tuple):
        return [_value_to_json(element) for element in value]
    return dict(_fields_to_json(value)) if is_dataclass(value) else value


def _event_type(name: str) -> type[Event]:
    kind = next((kind for kind in with_subclasses(Event) if kind.__name__ == name), None)
    if kind is None:
        raise ValueError(f"there is no event {name!r}")
    return kind


def with_subclasses(kind: type[Event]) -> Iterator[type[Event]]:
    """A type of events and all that are made of it."""
    yield kind
    for subclass in kind.__subclasses__():
        yield from with_subclasses(subclass)


def _restored_fields(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: restore(data[name]) for name, restore in _restorers(kind).items() if name in data}


@cache
def _restorers(kind: type) -> dict[str, Callable[[Any], Any]]:
    hints = get_type_hints(kind)
    return {field.name: _restorer(hints[field.name]) for field in fields(kind)}


def _restorer(hint: Any) -> Callable[[Any], Any]:
    """A function that makes a value of that type from JSON."""
    if get_origin(hint) in (Union, UnionType):
        inner = _restorer(next(option for option in get_args(hint) if option is not type(None)))
        return lambda value: None if value is None else inner(value)
    if hint is datetime:
        return datetime.fromisoformat
    if get_origin(hint) is tuple:
        return _tuple_restorer(get_args(hint))
    if is_dataclass(hint) and isinstance(hint, type):
        nested: type = hint
        return lambda value: nested(**_restored_fields(nested, value))
    return lambda value: value


def _tuple_restorer(hints: tuple[Any, ...]) -> Callable[[Any], Any]:
    restorers = [_restorer(hint) for hint in hints if hint is not Ellipsis]
    if Ellipsis in hints:
        return lambda values: tuple(restorers[0](value) for value in values)
    return lambda values: tuple(restore(value) for restore, value in zip(restorers, values, strict=True))
